import { type Notification, type Obligation, obligationSchema } from '@bailiwick/contracts'
import { jcs } from '@bailiwick/credentials'
import { withDeadline } from '@bailiwick/kit'
import type { Owed } from './answer.ts'

/**
 * Sends a notification that a policy requires. `to`, `topic` and `body` come from the decision point: check `to` against your list of
 * permitted recipients. A rejection means that it was not sent, and refuses the call.
 */
export type Notify = (notification: Notification) => Promise<void>

/** The obligations of a decision. */
export interface Duties {
  /**
   * Whether all obligations are understood and can be fulfilled here. If not, the call is refused, and those that are understood are
   * fulfilled all the same.
   */
  complete: boolean
  owed: Owed
  notifications: Notification[]
  /** The outcome must be reported within this many seconds of the decision. */
  reportSeconds: number | undefined
}

/** The time allowed for an outcome on its way to the decision point. */
const mostMsToTell = 2000

/** Reads obligations (AuthZEN Profile for Obligations, Draft 1). Never throws: an unreadable obligation makes them incomplete. */
export function readDuties(obligations: readonly unknown[], notify: Notify | undefined): Duties {
  const known = obligations.flatMap((each): Obligation[] => {
    const read = obligationSchema.safeParse(each)
    return read.success ? [read.data] : []
  })
  const own = known.flatMap((each) => (each.type === 'custom' ? [each.properties] : []))
  const limits = own.flatMap((each) => (each.action === 'limit' ? [each.bytes] : []))
  const seconds = own.flatMap((each) => (each.action === 'report_outcome_by' ? [each.seconds] : []))
  const reportSeconds = seconds.length === 0 ? undefined : Math.min(...seconds)
  const notifications = known.flatMap((each) => (each.type === 'notification' ? [each.properties] : []))
  const isUnique = new Set(known.map(({ id }) => id)).size === obligations.length
  return {
    // An ALLOW no longer waits for a step-up, so an ALLOW with a step-up is invalid.
    complete:
      isUnique && known.every(({ type }) => type !== 'step-up') && (notifications.length === 0 || notify !== undefined),
    owed: {
      redact: own.flatMap((each) => (each.action === 'redact' ? each.fields : [])),
      mostBytes: limits.length === 0 ? undefined : Math.min(...limits),
      withinMs: reportSeconds && reportSeconds * 1000 - Math.min(reportSeconds * 250, mostMsToTell),
    },
    notifications,
    reportSeconds,
  }
}

/** Whether the obligations say anything about the answer, or about when it is over. */
export const limitsAnswer = ({ owed: { redact, mostBytes }, reportSeconds }: Duties): boolean =>
  redact.length > 0 || mostBytes !== undefined || reportSeconds !== undefined

/**
 * The types fulfilled here, as an enforcement point declares them ("Negotiation"). All that we call `custom` concern the answer, which a
 * point does not have if the effect happens out of its sight.
 */
export const doneHere = (notify: Notify | undefined, isUnseen = false): string[] => [
  ...(isUnseen ? [] : ['custom']),
  'step-up',
  ...(notify === undefined ? [] : ['notification']),
]

/** Whether every notification was sent in time. All are tried, even if another one fails. */
export async function sendAll(
  notifications: readonly Notification[],
  notify: Notify | undefined,
  timeoutMs: number,
): Promise<boolean> {
  if (notifications.length === 0) return true
  if (notify === undefined) return false
  const sent = await Promise.allSettled(
    notifications.map(async (each) => withDeadline(Promise.resolve(notify(each)), timeoutMs)),
  )
  return sent.every(({ status }) => status === 'fulfilled')
}

/** Obligations next to a permit are unsigned: they must equal those signed in it, no more and no less. */
export function isSigned(beside: readonly unknown[], signed: readonly unknown[]): boolean {
  try {
    return jcs(beside) === jcs(signed)
  } catch {
    return false
  }
}
