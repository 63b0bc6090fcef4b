import { compactJwsSchema } from '@bailiwick/contracts'
import type { HttpRequest, HttpServer } from '@bailiwick/service-kit'
import { z } from 'zod'
import type { ToldOutcomes } from '../told-outcomes.ts'
import type { AdmitCall } from './rates.ts'

const bodySchema = z.strictObject({ outcome: compactJwsSchema })

/** `POST /log/outcomes`: what an enforcement point signed of an effect, told past the decision point. 204 once it will be looked for. */
export function outcomesRoute(server: HttpServer, told: () => Pick<ToldOutcomes, 'tell'>, admit: AdmitCall): void {
  /** Before a byte of the body is read: what is no outcome is counted, too. */
  const onRequest = async (request: HttpRequest) => admit(request)
  server.post('/log/outcomes', { onRequest, schema: { body: bodySchema } }, async (request, reply) => {
    await told().tell(request.body.outcome)
    return reply.status(204).send()
  })
}
