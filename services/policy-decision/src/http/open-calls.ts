import { callerOf } from '@bailiwick/authzen'
import { openCallsBytes } from '@bailiwick/contracts'
import { type AnswerOf, policyDecisionRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpRequest, HttpServer } from '@bailiwick/host'
import type { PolicyDecision } from '../policy-decision.ts'
import type { CallingPoint } from './callers.ts'

const { path, body } = policyDecisionRoutes.askOpenCalls
type Answer = AnswerOf<typeof policyDecisionRoutes.askOpenCalls>

/**
 * `POST /v1/open-calls`: an enforcement point asks which of its calls that go on must end. 200 with them, as soon as there is one or after
 * `wait_ms`; 503 `state_stale` if this decision point cannot know.
 */
export function openCallsRoute(http: HttpServer, service: Pick<PolicyDecision, 'authenticate' | 'openCalls'>): void {
  const points = new WeakMap<HttpRequest, CallingPoint>()
  /** Refuses unauthenticated callers before a byte of the body is read. */
  const onRequest = async (request: HttpRequest) => {
    points.set(request, service.authenticate(callerOf(request)))
    request.callerVerified()
  }
  const options = { onRequest, bodyLimit: openCallsBytes, schema: { body } }
  http.post(path, options, async (request): Promise<Answer> => {
    const point = points.get(request)
    if (!point) throw new ServiceError('caller_unauthenticated')
    const { decisions, wait_ms } = request.body
    return service.openCalls(point, { decisions, waitMs: wait_ms }, callerOf(request).isGone)
  })
}
