import { isSupported, least } from '@bailiwick/authzen'
import type { Grant } from '@bailiwick/contracts'
import type { Duties } from '@bailiwick/policy'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import type { Reserved } from './budget.ts'
import type { Permitted } from './policy.ts'
import type { Recorded } from './recorded.ts'
import { refuse, type Verdict } from './steps.ts'

/** The enforcement point can do what policies and the grant ask of it. */
export function duties({
  imposed,
  policies,
  reservation,
  tree,
  request,
}: Pick<Permitted, 'imposed' | 'policies'> &
  Pick<Recorded, 'tree'> & { reservation: Reserved; request: EvaluationRequest }): Verdict<{ duties: Duties }> {
  const duties = withLimits(imposed, reservation, tree.grant)
  return isSupported(duties, request.supported) ? { duties } : refuse('obligation_unsupported', { policies })
}

/** Adds the duties of the grant's own limits to those of policies: no more bytes than were reserved, and an outcome in time. */
function withLimits(duties: Duties, { reserved }: Reserved, { mode, statement }: Grant): Duties {
  const limitBytes = reserved.egress_bytes > 0 ? reserved.egress_bytes : duties.limitBytes
  const own = mode === 'continuous' ? statement.continuous?.outcome_seconds : undefined
  const reportSeconds = least(duties.reportSeconds, own)
  return {
    ...duties,
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(reportSeconds === undefined ? {} : { reportSeconds }),
  }
}
