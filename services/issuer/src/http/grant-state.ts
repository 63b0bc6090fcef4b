import { type AnswerOf, issuerRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import { type End, judgeLife } from '@bailiwick/projection'
import { ownTree } from '../grants/complete.ts'
import type { OAuthEndpoint } from '../tokens/client-call.ts'
import { countCall, proofOfCall } from './proven-call.ts'

const { path, params } = issuerRoutes.tellGrantState
type Answer = AnswerOf<typeof issuerRoutes.tellGrantState>

/** These pass: the same grant may live again. */
const passing: ReadonlySet<End['why']> = new Set(['signers_unknown', 'not_started', 'suspended', 'manifest_changed'])

/**
 * `POST /oauth/grants/{id}/state`: an agent asks whether its grant still lives, so that it can stop what works under it. It needs only a
 * DPoP proof of this very call, as for `complete`. The answer is the judgement by which a decision point allows; it writes nothing.
 */
export function grantStateRoute(http: HttpServer, endpoint: OAuthEndpoint): void {
  const { issuer } = endpoint
  http.post(path, { schema: { params } }, async (request, reply): Promise<Answer> => {
    const { id } = request.params
    const proof = proofOfCall(endpoint, request, reply, `/oauth/grants/${id}/state`)
    const tree = ownTree(issuer, id, proof)
    countCall(endpoint, request, proof, tree.grant.agent, 'looks')
    const { projection, trust, clock } = issuer
    // A stale issuer may not have read the revocation yet: "live" would then be wrong.
    if (!projection.fresh()) throw new ServiceError('service_unready', 'the state is not proved fresh')
    const question = { tree, delegationId: undefined, isActing: true, installation: trust.installation }
    const life = judgeLife(projection.ledger, { ...question, now: clock.now() })
    if (life.ok) return { grant_id: tree.id, state: 'live' }
    return { grant_id: tree.id, state: passing.has(life.end.why) ? 'suspended' : 'ended' }
  })
}
