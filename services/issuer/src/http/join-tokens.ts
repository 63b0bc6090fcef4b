import { type AnswerOf, issuerRoutes } from '@bailiwick/contracts/api'
import type { HttpServer } from '@bailiwick/host'
import type { Issuer } from '../context.ts'

const { path, body } = issuerRoutes.offerJoinTokenToIssuer
type Answer = AnswerOf<typeof issuerRoutes.offerJoinTokenToIssuer>

/** `POST /operator/join-tokens/issuer`, only on the operator's socket. From then on the token endpoint accepts this token once. */
export function joinTokenRoutes(operator: HttpServer, { projection, attestors, clock }: Issuer): void {
  operator.post(path, { schema: { body } }, async ({ body: order }): Promise<Answer> => {
    const { instance } = order
    const agent = projection.ledger.registry.get('agent', instance.slice(0, instance.lastIndexOf('/')))
    const until = attestors.joinTokens.offer(agent, order, clock.now())
    return { instance, expires_at: new Date(until).toISOString() }
  })
}
