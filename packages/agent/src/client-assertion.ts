import { encodeBase64url, type SigningKey, signClientAssertion } from '@bailiwick/credentials'
import type { Endpoints } from './endpoints.ts'
import { type WorkloadAttestation, workloadToken } from './workload.ts'

interface Client {
  id: string
  key: SigningKey<'agent'>
  endpoints: Endpoints
  now: () => number
  random: (n: number) => Uint8Array
  attestation?: WorkloadAttestation | undefined
}

/** The parameters that identify the client at an OAuth endpoint (RFC 7521 §4.2). */
export type ClientParameters = Record<'client_id' | 'client_assertion_type' | 'client_assertion', string>

const assertionSeconds = 60

const types = {
  /** RFC 7523: `private_key_jwt`, or the token of another issuer. */
  registered_key: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  oidc: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  /** draft-ietf-oauth-spiffe-client-auth */
  jwt_svid: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
  join_token: 'urn:bailiwick:params:oauth:client-assertion-type:join-token',
} as const

/**
 * Prepares client authentication: with a token of the workload, fetched now, or with the registered key. Call the returned function for
 * each attempt, because an assertion by our own key counts once.
 */
export async function clientParameters(client: Client): Promise<() => ClientParameters> {
  const { id, attestation, endpoints } = client
  const named = (kind: keyof typeof types, client_assertion: string) => ({
    client_id: id,
    client_assertion_type: types[kind],
    client_assertion,
  })
  if (attestation === undefined) return () => named('registered_key', signed(client))
  const token = await workloadToken(attestation, 'token', endpoints)
  return () => named(attestation.kind, token)
}

function signed({ id, key, endpoints, now, random }: Client): string {
  const iat = Math.floor(now() / 1000)
  const claims = { iss: id, sub: id, aud: endpoints.issuer, iat, exp: iat + assertionSeconds }
  return signClientAssertion({ ...claims, jti: encodeBase64url(random(16)) }, key)
}
