import type { Agent } from '@bailiwick/contracts'

/** The service that takes a token: approval with a request, or the issuer at its token endpoint. */
export type Taker = 'access-requests' | 'token'

/**
 * The audiences that an agent's tokens may name. Approval and the issuer have different ones, so that a compromised approval service cannot
 * present a token shown to it to the issuer, with a key of its own. With `oidc`, the registered audience is used instead of the public
 * address. The issuer's name is only its address (draft-ietf-oauth-spiffe-client-auth §3.1, RFC 7523bis). Assertions that agents sign
 * themselves may also name the token endpoint, as RFC 7523 §3 had it, or `endpointUrl`, the issuer's endpoint that takes them.
 */
export function audiencesOf(
  { attestor }: Agent,
  publicUrl: string,
  taker: Taker,
  endpointUrl?: string,
): readonly string[] {
  const base = attestor.kind === 'oidc' ? attestor.audience : publicUrl
  if (taker === 'access-requests') return [`${base.replace(/\/$/, '')}/access/v1/requests`]
  if (attestor.kind !== 'registered_key' && attestor.kind !== 'emergency') return [base]
  return [base, `${base.replace(/\/$/, '')}/oauth/token`, ...(endpointUrl === undefined ? [] : [endpointUrl])]
}
