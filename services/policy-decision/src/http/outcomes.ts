import { callerOf } from '@bailiwick/authzen'
import { compactJwsSchema, type EnforcementPoint, type OutcomeResult, outcomesBytes } from '@bailiwick/contracts'
import { policyDecisionRoutes } from '@bailiwick/contracts/api'
import { errorCode, ServiceError, toProblem } from '@bailiwick/errors'
import { type HttpRequest, type HttpServer, serviceErrorOf } from '@bailiwick/host'
import type { PolicyDecision } from '../policy-decision.ts'

const { path, body: bodySchema } = policyDecisionRoutes.reportOutcomes

/**
 * `POST /v1/outcomes`: outcomes that an enforcement point signed. One outcome: 204 once it, and no other outcome of its decision, is
 * recorded and counts. A list: 200 with a result for each, in the order of the list.
 */
export function outcomesRoute(http: HttpServer, service: Pick<PolicyDecision, 'authenticate' | 'reportOutcome'>): void {
  const points = new WeakMap<HttpRequest, EnforcementPoint>()
  /** Refuses unauthenticated callers before a byte of the body is read. */
  const onRequest = async (request: HttpRequest) => {
    points.set(request, service.authenticate(callerOf(request)))
    request.callerVerified()
  }
  /** An error of one outcome does not fail the others. */
  const resultOf = async (point: EnforcementPoint, item: unknown): Promise<OutcomeResult> => {
    const outcome = compactJwsSchema.safeParse(item)
    if (!outcome.success) return toProblem(new ServiceError('request_malformed', 'not a compact JWS'))
    try {
      await service.reportOutcome(point, outcome.data)
      return { status: 204 }
    } catch (error) {
      if (errorCode(error) === 'internal') http.log.error({ err: error }, 'an outcome was not taken')
      return toProblem(serviceErrorOf(error))
    }
  }
  const options = { onRequest, bodyLimit: outcomesBytes, schema: { body: bodySchema } }
  http.post(path, options, async (request, reply) => {
    const point = points.get(request)
    if (!point) throw new ServiceError('caller_unauthenticated')
    const { body } = request
    if ('outcome' in body) {
      await service.reportOutcome(point, body.outcome)
      return reply.status(204).send()
    }
    // All outcomes enter in this turn: those of one tree share a batch, and all of them share a durable write.
    return { results: await Promise.all(body.outcomes.map((item) => resultOf(point, item))) }
  })
}
