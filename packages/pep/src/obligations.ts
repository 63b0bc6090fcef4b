import { type Notification, type Obligation, obligationSchema } from '@bailiwick/contracts'
import { jcs } from '@bailiwick/credentials'
import { withDeadline } from '@bailiwick/service-kit'
import type { Owed } from './answer.ts'

/**
 * Sends a notification that policy asked for. `to`, `topic` and `body` come from the decision point: check `to` against whom you
 * write to at all. A rejection means that it was not sent, and refuses the call.
 */
export type Notify = (notification: Notification) => Promise<void>

/** What a decision obliges to. */
export interface Duties {
  /** Whether all of it is understood and can be done here; else the call is refused, and what is understood is done all the same. */
  complete: boolean
  owed: Owed
  notifications: Notification[]
  /** Within so many seconds of the decision its outcome is reported. */
  reportSeconds: number | undefined
}

/** What the outcome may take on its way to the decision point. */
const mostMsToTell = 2000

/** Reads obligations (AuthZEN Profile for Obligations, Draft 1). Never throws: what cannot be read makes them incomplete. */
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
    // A step-up is what an ALLOW no longer waits for: with one it is none.
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

/** Types that are done here, as an enforcement point declares them ("Negotiation"). */
export const doneHere = (notify: Notify | undefined): string[] => [
  'custom',
  'step-up',
  ...(notify === undefined ? [] : ['notification']),
]

/** Whether all were sent, each in its time; all are tried, whatever became of the others. */
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

/** What stands beside a permit is nobody's word: it must be what was signed in it, no more and no less. */
export function isSigned(beside: readonly unknown[], signed: readonly unknown[]): boolean {
  try {
    return jcs(beside) === jcs(signed)
  } catch {
    return false
  }
}
