import { errorCode, ServiceError } from '@bailiwick/errors'
import { endsTask } from './denied.ts'

/** Denials after which another grant may cover the same request: nothing was executed. */
const forOthers: ReadonlySet<string | undefined> = new Set([
  ...['action_not_granted', 'argument_out_of_bounds', 'cost_invalid', 'uses_exhausted', 'budget_exhausted'],
])
const isForOthers = (code: string | undefined): boolean => code !== undefined && (forOthers.has(code) || endsTask(code))

export interface Trying<A> {
  attempt: (grantId: string) => Promise<A>
  /** The code with which the gateway itself denied. */
  codeOf: (answer: A) => string | undefined
  /** Called for each refused answer. */
  drop?: (answer: A) => unknown
  signal: AbortSignal
}

/**
 * The first answer that is not a denial because of its grant. Of several such denials, one about this very action is the most useful.
 * Rejects as `attempt` does, and with `grant_not_active` if there is no grant.
 */
export async function underFirst<A>(
  grants: readonly string[],
  { attempt, codeOf, drop = () => undefined, signal }: Trying<A>,
): Promise<A> {
  let denied: { answer: A } | undefined
  let failure: unknown = new ServiceError('grant_not_active', 'no task covers this')
  for (const grantId of grants) {
    try {
      const answer = await attempt(grantId)
      if (!isForOthers(codeOf(answer))) {
        if (denied !== undefined) await drop(denied.answer)
        return answer
      }
      const isBetter = denied === undefined || codeOf(denied.answer) === 'action_not_granted'
      const left = isBetter ? denied : { answer }
      if (left !== undefined) await drop(left.answer)
      if (isBetter) denied = { answer }
    } catch (error) {
      if (signal.aborted || !isForOthers(errorCode(error))) throw error
      failure = error
    }
  }
  if (denied === undefined) throw failure
  return denied.answer
}
