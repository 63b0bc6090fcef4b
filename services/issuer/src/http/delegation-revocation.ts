import { type AnswerOf, issuerRoutes } from '@bailiwick/contracts/api'
import type { HttpServer } from '@bailiwick/host'
import { ownDelegation, revokeDelegation } from '../revocations/revoke-delegation.ts'
import type { OAuthEndpoint } from '../tokens/client-call.ts'
import { countCall, proofOfCall } from './proven-call.ts'

const { path, params, body } = issuerRoutes.revokeDelegation
type Answer = AnswerOf<typeof issuerRoutes.revokeDelegation>

/**
 * `POST /oauth/delegations/{id}/revoke`: an agent ends what it passed on, what was passed on below that, or what it holds itself, with a
 * DPoP proof of this very call. The answer means that the revocation is durable and counts (V7).
 */
export function delegationRevocationRoute(http: HttpServer, endpoint: OAuthEndpoint): void {
  const { issuer } = endpoint
  http.post(path, { schema: { params, body } }, async (request, reply): Promise<Answer> => {
    const { id } = request.params
    const proof = proofOfCall(endpoint, request, reply, `/oauth/delegations/${id}/revoke`)
    const own = ownDelegation(issuer, { id, signed: request.body.delegation }, proof)
    countCall(endpoint, request, proof, own.by)
    const revoked_sequence = await revokeDelegation(issuer, own)
    return { delegation_id: id, revoked_sequence, acknowledged_at: new Date(issuer.clock.now()).toISOString() }
  })
}
