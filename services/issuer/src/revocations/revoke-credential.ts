import { tokenFormSchema } from '@bailiwick/contracts/api'
import { authenticateCall, type FormCall, type OAuthEndpoint, parameters } from '../tokens/client-call.ts'
import { readToken, treeOf } from '../tokens/introspect.ts'
import { asOAuthError, OAuthError } from '../tokens/oauth-error.ts'
import { revokeOwnCredential } from './revoke.ts'

/**
 * RFC 7009: a client that holds a credential and its key gives it back. When it resolves, the revocation is durable and counts (V7), or
 * there was nothing to revoke: an unknown, foreign or expired token is not an error (§2.2). It does not wait for state that is proved
 * fresh: a revocation only takes away.
 */
export async function revokeCredential(endpoint: OAuthEndpoint, call: FormCall): Promise<void> {
  const client = await authenticateCall(endpoint, call, { url: endpoint.revocationUrl, proof: 'offered' })
  const { token } = parameters(tokenFormSchema, call.form)
  const { issuer } = endpoint
  const signed = readToken(issuer, token)
  if (signed === undefined || treeOf(issuer, signed) === undefined) return
  const { claims } = signed
  if (claims.client_id !== client.instance || claims.cnf.jkt !== client.jkt)
    throw new OAuthError('invalid_grant', 'The credential was issued to another client, or for another key.')
  try {
    await revokeOwnCredential(issuer, claims.jti, client.instance)
  } catch (error) {
    throw asOAuthError(error)
  }
}
