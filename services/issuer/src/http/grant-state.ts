import { type AnswerOf, issuerRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import { type End, judgeLife } from '@bailiwick/projection'
import { ownTree } from '../grants/complete.ts'
import { readProof, refuseReplay } from '../tokens/call-proof.ts'
import { type OAuthEndpoint, refuseFlood } from '../tokens/client-call.ts'
import { challenge } from '../tokens/oauth-error.ts'

const { path, params } = issuerRoutes.tellGrantState
type Answer = AnswerOf<typeof issuerRoutes.tellGrantState>

/** These pass: the same grant may live again. */
const passing: ReadonlySet<End['why']> = new Set(['signers_unknown', 'not_started', 'suspended', 'manifest_changed'])

/**
 * `POST /oauth/grants/{id}/state`: an agent asks whether its grant still lives, so that it can stop what works under it. It needs only a
 * DPoP proof of this very call, as for `complete`. The answer is the judgement by which a decision point allows; it writes nothing.
 */
export function grantStateRoute(http: HttpServer, endpoint: OAuthEndpoint): void {
  const { issuer, nonces } = endpoint
  http.post(path, { schema: { params } }, async (request, reply): Promise<Answer> => {
    reply.header('cache-control', 'no-store').header('dpop-nonce', nonces.current())
    const { id } = request.params
    const { dpop } = request.headers
    const url = `${issuer.issuerUrl}/oauth/grants/${id}/state`
    const read = readProof(endpoint, url, typeof dpop === 'string' ? dpop : dpop?.join(','))
    if (!read.ok) {
      reply.header('www-authenticate', challenge(read.error))
      throw new ServiceError('caller_unauthenticated', read.why)
    }
    const tree = ownTree(issuer, id, read.proof)
    request.callerVerified()
    refuseFlood(endpoint, tree.grant.agent)
    refuseReplay(endpoint, read.proof, tree.grant.agent)
    const { projection, trust, clock } = issuer
    // A stale issuer may not have read the revocation yet: "live" would then be wrong.
    if (!projection.fresh()) throw new ServiceError('service_unready', 'the state is not proved fresh')
    const question = { tree, delegationId: undefined, isActing: true, installation: trust.installation }
    const life = judgeLife(projection.ledger, { ...question, now: clock.now() })
    if (life.ok) return { grant_id: tree.id, state: 'live' }
    return { grant_id: tree.id, state: passing.has(life.end.why) ? 'suspended' : 'ended' }
  })
}
