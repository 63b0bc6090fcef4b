import { compactJwsSchema } from '@bailiwick/contracts'
import type { HttpServer } from '@bailiwick/service-kit'
import { z } from 'zod'
import type { ToldOutcomes } from '../told-outcomes.ts'
import { outcomeRate } from './rates.ts'

const bodySchema = z.strictObject({ outcome: compactJwsSchema })

/** `POST /log/outcomes`: what an enforcement point signed of an effect, told past the decision point. 204 once it will be looked for. */
export function outcomesRoute(server: HttpServer, told: () => Pick<ToldOutcomes, 'tell'>): void {
  const config = { strangers: outcomeRate }
  server.post('/log/outcomes', { config, schema: { body: bodySchema } }, async (request, reply) => {
    await told().tell(request.body.outcome, () => request.callerVerified())
    return reply.status(204).send()
  })
}
