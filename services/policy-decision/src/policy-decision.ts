import type { AuthZenCaller, AuthZenFound, AuthZenSearch } from './authzen.ts'
import type { CallingPoint } from './callers.ts'
import type { Pdp } from './context.ts'
import type { Answer, From } from './decide.ts'
import type { EvaluationRequest } from './evaluation-request.ts'
import type { TreeQueues } from './tree-queue.ts'

/** The running service, as its routes see it. */
export interface PolicyDecision extends AsyncDisposable {
  pdp: Pdp
  /** The events that wait for their turn in their tree. */
  queues: Pick<TreeQueues, 'length'>
  /** Throws `caller_unauthenticated`. */
  authenticate(caller: AuthZenCaller): CallingPoint
  /** The same of who is about to ask. Throws `queue_full` besides, for one that has enough under way. */
  admit(caller: AuthZenCaller): CallingPoint
  /** Rejects with `queue_full` and `decision_quota_exceeded` alone. */
  decide(point: CallingPoint, request: EvaluationRequest, from?: From): Promise<Answer>
  /** What decisions would permit now; decides and takes nothing. */
  search(point: CallingPoint, search: AuthZenSearch): Promise<AuthZenFound>
  reportOutcome(point: CallingPoint, jws: string): Promise<void>
}
