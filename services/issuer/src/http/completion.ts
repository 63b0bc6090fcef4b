import { grantIdSchema, requestIdSchema } from '@bailiwick/contracts'
import { type DpopProof, verifyDpopProof } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/service-kit'
import { z } from 'zod'
import { complete, ownTree } from '../complete.ts'
import type { TokenEndpoint } from '../issue-token.ts'

const proofMaxAgeMs = 60_000
const leewayMs = 5000
const paramsSchema = z.object({ id: z.union([grantIdSchema, requestIdSchema]) })

/**
 * `POST /oauth/grants/{id}/complete`: an agent says that its task is done, with a DPoP proof of this very call and nothing else, since
 * whoever has the key could as well use the grant. The answer means: durable, and it counts.
 */
export function completionRoute(http: HttpServer, endpoint: TokenEndpoint): void {
  const { issuer, nonces } = endpoint
  http.post('/oauth/grants/:id/complete', { schema: { params: paramsSchema } }, async (request, reply) => {
    reply.header('cache-control', 'no-store').header('dpop-nonce', nonces.current())
    const { id } = request.params
    const proof = proofOf(endpoint, `${issuer.issuerUrl}/oauth/grants/${id}/complete`, request.headers.dpop)
    if (proof === 'nonce') {
      reply.header('www-authenticate', 'DPoP error="use_dpop_nonce"')
      throw new ServiceError('caller_unauthenticated', 'the DPoP proof needs the nonce of this answer')
    }
    const tree = ownTree(issuer, id, proof)
    // Only now: proofs by keys of nobody must not crowd out those that count.
    rememberProof(endpoint, proof)
    await complete(issuer, tree.id, 'completed by the agent')
    return { grant_id: tree.id, state: tree.state }
  })
}

function proofOf({ issuer, nonces }: TokenEndpoint, htu: string, dpop: unknown): DpopProof | 'nonce' {
  // Two header fields arrive joined by a comma, which no proof contains.
  if (typeof dpop !== 'string' || dpop.includes(','))
    throw new ServiceError('caller_unauthenticated', 'a DPoP proof is missing')
  const now = issuer.clock.now()
  const verified = verifyDpopProof({ proof: dpop, htm: 'POST', htu, now, maxAgeMs: proofMaxAgeMs, leewayMs })
  if (!verified.ok) throw new ServiceError('caller_unauthenticated', verified.detail)
  const { nonce } = verified.value
  return nonce === undefined || !nonces.accepts(nonce) ? 'nonce' : verified.value
}

function rememberProof({ issuer, replay }: TokenEndpoint, { jkt, jti }: DpopProof): void {
  const now = issuer.clock.now()
  if (!replay.remember(`dpop ${jkt} ${jti}`, now + proofMaxAgeMs + 2 * leewayMs, now))
    throw new ServiceError('token_replayed', 'the DPoP proof was used before')
}
