import { type OutcomeResult, outcomesBytes } from '@bailiwick/contracts'
import { evidenceRoutes } from '@bailiwick/contracts/api'
import { toProblem } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import type { ToldOutcomes } from '../findings/told-outcomes.ts'
import { outcomeRate } from './rates.ts'

const { path, body: bodySchema } = evidenceRoutes.tellOutcomes

/**
 * `POST /log/outcomes`: outcomes that an enforcement point signed, sent to evidence past the decision point. One outcome, which still
 * waits for the decision point's answer: 204 once evidence keeps it and looks for its relay. A list: 200 with a result for each.
 */
export function outcomesRoute(server: HttpServer, told: () => Pick<ToldOutcomes, 'tell'>): void {
  const options = { config: { strangers: outcomeRate }, bodyLimit: outcomesBytes, schema: { body: bodySchema } }
  server.post(path, options, async (request, reply) => {
    const { body } = request
    const onVerified = () => request.callerVerified()
    if ('outcome' in body) {
      const [error] = await told().tell([body.outcome], { onVerified })
      if (error) throw error
      return reply.status(204).send()
    }
    const errors = await told().tell(body.outcomes, { answered: body.answered, onVerified })
    const results = errors.map((error): OutcomeResult => (error ? toProblem(error) : { status: 204 }))
    return { results }
  })
}
