import { compactJwsSchema, type EnforcementPoint } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import type { HttpRequest, HttpServer } from '@bailiwick/service-kit'
import { z } from 'zod'
import type { PolicyDecision } from '../policy-decision.ts'
import { callerOf } from './authzen.ts'

const bodySchema = z.strictObject({ outcome: compactJwsSchema })

/** `POST /v1/outcomes`: what an enforcement point signed of an effect. 204 once it, and no other of its decision, is recorded and counts. */
export function outcomesRoute(http: HttpServer, service: Pick<PolicyDecision, 'authenticate' | 'reportOutcome'>): void {
  const points = new WeakMap<HttpRequest, EnforcementPoint>()
  /** Before a byte of the body is read: strangers are told so and not listened to. */
  const onRequest = async (request: HttpRequest) => {
    points.set(request, service.authenticate(callerOf(request)))
    request.callerVerified()
  }
  http.post('/v1/outcomes', { onRequest, schema: { body: bodySchema } }, async (request, reply) => {
    const point = points.get(request)
    if (!point) throw new ServiceError('caller_unauthenticated')
    await service.reportOutcome(point, request.body.outcome)
    return reply.status(204).send()
  })
}
