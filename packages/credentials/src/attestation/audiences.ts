import type { Agent } from '@bailiwick/contracts'

/** Who takes a token: approval with a request, or the issuer at its token endpoint. */
export type Taker = 'access-requests' | 'token'

/**
 * The names under which an agent's tokens are taken. Approval and the issuer have different ones, so that approval, taken over, cannot
 * show the issuer a token that was shown to it, with a key of its own. With `oidc` the registered audience stands
 * for the public address. The issuer's name is its address alone (draft-ietf-oauth-spiffe-client-auth §3.1, RFC 7523bis); what agents sign by
 * themselves may also name the token endpoint, as RFC 7523 §3 had it, or `endpointUrl`, the endpoint of the issuer that takes it.
 */
export function audiencesOf(
  { attestor }: Agent,
  publicUrl: string,
  taker: Taker,
  endpointUrl?: string,
): readonly string[] {
  const base = attestor.kind === 'oidc' ? attestor.audience : publicUrl
  if (taker === 'access-requests') return [`${base.replace(/\/$/, '')}/access/v1/requests`]
  if (attestor.kind !== 'registered_key') return [base]
  return [base, `${base.replace(/\/$/, '')}/oauth/token`, ...(endpointUrl === undefined ? [] : [endpointUrl])]
}
