import { type AnswerOf, issuerRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import { judgeLife, type Tree } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'
import { complete, ownTree } from '../grants/complete.ts'
import type { OAuthEndpoint } from '../tokens/client-call.ts'
import { countCall, proofOfCall } from './proven-call.ts'

const { path, params } = issuerRoutes.completeGrant
type Answer = AnswerOf<typeof issuerRoutes.completeGrant>

/**
 * `POST /oauth/grants/{id}/complete`: an agent says that its task is done. It needs only a DPoP proof of this very call, since the holder
 * of the key could just as well use the grant. The answer means that the completion is durable and counts.
 *
 * An agent must not turn a withdrawal into an end of its own making: `agent run` lets a program go on that ended its task, and kills one whose
 * task was withdrawn.
 */
export function completionRoute(http: HttpServer, endpoint: OAuthEndpoint): void {
  const { issuer } = endpoint
  http.post(path, { schema: { params } }, async (request, reply): Promise<Answer> => {
    const { id } = request.params
    const proof = proofOfCall(endpoint, request, reply, `/oauth/grants/${id}/complete`)
    const tree = ownTree(issuer, id, proof)
    countCall(endpoint, request, proof, tree.grant.agent)
    refuseEnded(issuer, tree)
    await complete(issuer, tree.id, 'completed by the agent')
    return { grant_id: tree.id, state: tree.state }
  })
}

/** A revocation is no state of a grant, and its time is over before the event that says so. Throws `grant_not_active`. */
function refuseEnded({ projection, trust, clock }: Issuer, tree: Tree): void {
  if (tree.state === 'completed') return // asked again
  const question = { tree, delegationId: undefined, installation: trust.installation, now: clock.now() }
  const life = judgeLife(projection.ledger, question)
  if (!life.ok && (life.end.why === 'revoked' || life.end.why === 'expired'))
    throw new ServiceError('grant_not_active', `it is ${life.end.why}`)
}
