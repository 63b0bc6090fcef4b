import type { EnforcementPoint } from '@bailiwick/contracts'
import { normalizeHtu } from '@bailiwick/credentials'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import type { ShownProof } from './proof.ts'
import { refuse, type Verdict } from './steps.ts'

/** The enforcement point is registered for this resource, and for those that the tool's declared mapping names. */
export function scope({ point, request }: { point: EnforcementPoint; request: EvaluationRequest }): Verdict {
  const isInScope = ({ type, id }: { type: string; id: string }) =>
    point.resources.some((scope) => {
      if (scope.type !== type) return false
      if ('id' in scope) return scope.id === id
      return 'id_prefix' in scope ? id.startsWith(scope.id_prefix) : true
    })
  const mapped = request.observed.mapped?.map(({ resource }) => resource) ?? []
  return [request.resource, ...mapped].every(isInScope) ? undefined : refuse('pep_out_of_scope')
}

/**
 * The call was made to an address that the registry has for the enforcement point. Otherwise a point that trusts a `Host` header, or that
 * was taken over, could bring a proof here that an agent made for an impostor's address.
 */
export function address({ point, shown }: { point: EnforcementPoint; shown: ShownProof }): Verdict {
  const called = normalizeHtu(shown.htu)
  const isAtPoint = point.base_urls.some((url) => {
    const base = normalizeHtu(url)?.replace(/\/*$/, '/')
    return called !== undefined && base !== undefined && `${called}/`.startsWith(base)
  })
  return isAtPoint ? undefined : refuse('pep_out_of_scope')
}
