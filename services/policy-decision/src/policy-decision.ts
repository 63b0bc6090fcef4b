import type { EnforcementPoint } from '@bailiwick/contracts'
import type { AuthZenCaller, AuthZenFound, AuthZenSearch } from './authzen.ts'
import type { Pdp } from './context.ts'
import type { Answer } from './decide.ts'
import type { EvaluationRequest } from './evaluation-request.ts'
import type { Turn } from './turns.ts'

/** The running service, as its routes see it. */
export interface PolicyDecision extends AsyncDisposable {
  pdp: Pdp
  /** Throws `caller_unauthenticated`. */
  authenticate(caller: AuthZenCaller): EnforcementPoint
  /** The same of who is about to ask. Throws `queue_full` besides, for one that has enough under way. */
  admit(caller: AuthZenCaller): EnforcementPoint
  /** Rejects with `queue_full` alone. */
  decide(point: EnforcementPoint, request: EvaluationRequest, turn?: Turn): Promise<Answer>
  /** What decisions would permit now; decides and takes nothing. */
  search(point: EnforcementPoint, search: AuthZenSearch): Promise<AuthZenFound>
  reportOutcome(point: EnforcementPoint, jws: string): Promise<void>
}
