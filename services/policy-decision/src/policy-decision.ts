import type { AuthZenCaller, AuthZenFound, AuthZenSearch } from '@bailiwick/authzen'
import type { OpenCallsAnswer } from '@bailiwick/contracts'
import type { Answer } from './answer.ts'
import type { From } from './decide.ts'
import type { CallingPoint } from './http/callers.ts'
import type { EvaluationRequest } from './http/evaluation-request.ts'
import type { TreeQueues } from './order/tree-queue.ts'
import type { AskedOpenCalls } from './outcomes/open-calls.ts'
import type { Clocked, Judges, Signing, State } from './ports.ts'

/** The running service, as its routes see it. */
export interface PolicyDecision extends AsyncDisposable {
  pdp: Pick<Clocked, 'clock'> & State & Judges & Pick<Signing, 'bindingKey'>
  /** The events that wait for their turn in their tree. */
  queues: Pick<TreeQueues, 'length'>
  /** Throws `caller_unauthenticated`. */
  authenticate(caller: AuthZenCaller): CallingPoint
  /** Authenticates a caller that is about to ask. Also throws `queue_full`, for a caller with too many calls under way. */
  admit(caller: AuthZenCaller): CallingPoint
  /** Rejects only with `queue_full` and `decision_quota_exceeded`. */
  decide(point: CallingPoint, request: EvaluationRequest, from?: From): Promise<Answer>
  /** Finds what decisions would permit now. Decides nothing and takes nothing. */
  search(point: CallingPoint, search: AuthZenSearch): Promise<AuthZenFound>
  /** Which of these ALLOWs no longer stand: answers as soon as one does not, or when the wait is over. Throws `state_stale`. */
  openCalls(point: CallingPoint, asked: AskedOpenCalls, isGone?: () => boolean): Promise<OpenCallsAnswer>
  reportOutcome(point: CallingPoint, jws: string): Promise<void>
}
