import { type AnswerOf, issuerRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import { complete, ownTree } from '../grants/complete.ts'
import { readProof, refuseReplay } from '../tokens/call-proof.ts'
import { type OAuthEndpoint, refuseFlood } from '../tokens/client-call.ts'
import { challenge } from '../tokens/oauth-error.ts'

const { path, params } = issuerRoutes.completeGrant
type Answer = AnswerOf<typeof issuerRoutes.completeGrant>

/**
 * `POST /oauth/grants/{id}/complete`: an agent says that its task is done. It needs only a DPoP proof of this very call, since the holder
 * of the key could just as well use the grant. The answer means that the completion is durable and counts.
 */
export function completionRoute(http: HttpServer, endpoint: OAuthEndpoint): void {
  const { issuer, nonces } = endpoint
  http.post(path, { schema: { params } }, async (request, reply): Promise<Answer> => {
    reply.header('cache-control', 'no-store').header('dpop-nonce', nonces.current())
    const { id } = request.params
    const { dpop } = request.headers
    const url = `${issuer.issuerUrl}/oauth/grants/${id}/complete`
    const read = readProof(endpoint, url, typeof dpop === 'string' ? dpop : dpop?.join(','))
    if (!read.ok) {
      reply.header('www-authenticate', challenge(read.error))
      throw new ServiceError('caller_unauthenticated', read.why)
    }
    const tree = ownTree(issuer, id, read.proof)
    request.callerVerified()
    refuseFlood(endpoint, tree.grant.agent)
    refuseReplay(endpoint, read.proof, tree.grant.agent)
    await complete(issuer, tree.id, 'completed by the agent')
    return { grant_id: tree.id, state: tree.state }
  })
}
