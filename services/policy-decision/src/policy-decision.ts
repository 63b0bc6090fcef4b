import type { EnforcementPoint } from '@bailiwick/contracts'
import type { Pdp } from './context.ts'
import type { Answer } from './decide.ts'
import type { EvaluationRequest } from './evaluation-request.ts'

/** The running service, as its routes see it. */
export interface PolicyDecision extends AsyncDisposable {
  pdp: Pdp
  /** Throws `caller_unauthenticated`. */
  authenticate(authorization: string | undefined): EnforcementPoint
  decide(point: EnforcementPoint, request: EvaluationRequest): Promise<Answer>
  reportOutcome(point: EnforcementPoint, jws: string): Promise<void>
}
