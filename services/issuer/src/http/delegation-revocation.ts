import { type AnswerOf, issuerRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import { ownDelegation, revokeDelegation } from '../revocations/revoke-delegation.ts'
import { readProof, refuseReplay } from '../tokens/call-proof.ts'
import { type OAuthEndpoint, refuseFlood } from '../tokens/client-call.ts'
import { challenge } from '../tokens/oauth-error.ts'

const { path, params, body } = issuerRoutes.revokeDelegation
type Answer = AnswerOf<typeof issuerRoutes.revokeDelegation>

/**
 * `POST /oauth/delegations/{id}/revoke`: an agent ends what it passed on, what was passed on below that, or what it holds itself, with a
 * DPoP proof of this very call. The answer means that the revocation is durable and counts (V7).
 */
export function delegationRevocationRoute(http: HttpServer, endpoint: OAuthEndpoint): void {
  const { issuer, nonces } = endpoint
  http.post(path, { schema: { params, body } }, async (request, reply): Promise<Answer> => {
    reply.header('cache-control', 'no-store').header('dpop-nonce', nonces.current())
    const { id } = request.params
    const { dpop } = request.headers
    const url = `${issuer.issuerUrl}/oauth/delegations/${id}/revoke`
    const read = readProof(endpoint, url, typeof dpop === 'string' ? dpop : dpop?.join(','))
    if (!read.ok) {
      reply.header('www-authenticate', challenge(read.error))
      throw new ServiceError('caller_unauthenticated', read.why)
    }
    const own = ownDelegation(issuer, { id, signed: request.body.delegation }, read.proof)
    request.callerVerified()
    refuseFlood(endpoint, own.by)
    refuseReplay(endpoint, read.proof, own.by)
    const revoked_sequence = await revokeDelegation(issuer, own)
    return { delegation_id: id, revoked_sequence, acknowledged_at: new Date(issuer.clock.now()).toISOString() }
  })
}
