import { compactJwsSchema } from '@bailiwick/contracts'
import type { HttpServer } from '@bailiwick/service-kit'
import { z } from 'zod'
import type { PolicyDecision } from '../policy-decision.ts'
import { callerOf } from './authzen.ts'

const bodySchema = z.strictObject({ outcome: compactJwsSchema })

/** `POST /v1/outcomes`: what an enforcement point signed of an effect. 204 once it, and no other of its decision, is recorded and counts. */
export function outcomesRoute(http: HttpServer, service: PolicyDecision): void {
  http.post('/v1/outcomes', { schema: { body: bodySchema } }, async (request, reply) => {
    const point = service.authenticate(callerOf(request))
    await service.reportOutcome(point, bodySchema.parse(request.body).outcome)
    return reply.status(204).send()
  })
}
