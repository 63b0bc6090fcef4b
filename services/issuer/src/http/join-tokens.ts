import { joinTokenOrderSchema } from '@bailiwick/credentials/attestation'
import type { HttpServer } from '@bailiwick/host'
import type { Issuer } from '../context.ts'

/** `POST /operator/join-tokens/issuer`, only on the operator's socket. From then on the token endpoint accepts this token once. */
export function joinTokenRoutes(operator: HttpServer, { projection, attestors, clock }: Issuer): void {
  operator.post('/operator/join-tokens/issuer', { schema: { body: joinTokenOrderSchema } }, async ({ body }) => {
    const { instance } = body
    const agent = projection.ledger.registry.get('agent', instance.slice(0, instance.lastIndexOf('/')))
    const until = attestors.joinTokens.offer(agent, body, clock.now())
    return { instance, expires_at: new Date(until).toISOString() }
  })
}
