import type { DpopProof } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { HttpReply, HttpRequest } from '@bailiwick/host'
import { readProof, refuseReplay } from '../tokens/call-proof.ts'
import { type OAuthEndpoint, refuseFlood } from '../tokens/client-call.ts'
import { challenge } from '../tokens/oauth-error.ts'

/**
 * The DPoP proof of exactly this call, for routes that need no credential: the key itself is what counts. The reply gets the nonce of the
 * next proof. Throws `caller_unauthenticated`. Find out whose key it is, and then call `countCall`.
 */
export function proofOfCall(
  endpoint: OAuthEndpoint,
  request: Pick<HttpRequest, 'headers'>,
  reply: HttpReply,
  path: string,
): DpopProof {
  reply.header('cache-control', 'no-store').header('dpop-nonce', endpoint.nonces.current())
  const { dpop } = request.headers
  const read = readProof(
    endpoint,
    `${endpoint.issuer.issuerUrl}${path}`,
    typeof dpop === 'string' ? dpop : dpop?.join(','),
  )
  if (read.ok) return read.proof
  reply.header('www-authenticate', challenge(read.error))
  throw new ServiceError('caller_unauthenticated', read.why)
}

/** Counts a call whose key is known to be that of `agent` (V10, V18). */
export function countCall(
  endpoint: OAuthEndpoint,
  request: Pick<HttpRequest, 'callerVerified'>,
  proof: DpopProof,
  agent: string,
  what: 'ends' | 'looks' = 'ends',
): void {
  request.callerVerified()
  refuseFlood(endpoint, agent, what)
  refuseReplay(endpoint, proof, agent)
}
