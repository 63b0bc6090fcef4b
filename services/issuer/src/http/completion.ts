import { type AnswerOf, issuerRoutes } from '@bailiwick/contracts/api'
import type { HttpServer } from '@bailiwick/host'
import { complete, ownTree } from '../grants/complete.ts'
import type { OAuthEndpoint } from '../tokens/client-call.ts'
import { countCall, proofOfCall } from './proven-call.ts'

const { path, params } = issuerRoutes.completeGrant
type Answer = AnswerOf<typeof issuerRoutes.completeGrant>

/**
 * `POST /oauth/grants/{id}/complete`: an agent says that its task is done. It needs only a DPoP proof of this very call, since the holder
 * of the key could just as well use the grant. The answer means that the completion is durable and counts.
 */
export function completionRoute(http: HttpServer, endpoint: OAuthEndpoint): void {
  const { issuer } = endpoint
  http.post(path, { schema: { params } }, async (request, reply): Promise<Answer> => {
    const { id } = request.params
    const proof = proofOfCall(endpoint, request, reply, `/oauth/grants/${id}/complete`)
    const tree = ownTree(issuer, id, proof)
    countCall(endpoint, request, proof, tree.grant.agent)
    await complete(issuer, tree.id, 'completed by the agent')
    return { grant_id: tree.id, state: tree.state }
  })
}
