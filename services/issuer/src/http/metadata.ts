import { jwkSet } from '@bailiwick/credentials'
import type { HttpServer } from '@bailiwick/service-kit'
import type { Issuer } from '../context.ts'
import { grantTypes } from '../token-endpoint.ts'

/** RFC 8414 metadata, with everything that is supported and nothing that is not, and the credential keys (RFC 7517). */
export function metadataRoutes(http: HttpServer, issuer: Issuer, tokenUrl: string): void {
  const metadata = {
    issuer: issuer.issuerUrl,
    token_endpoint: tokenUrl,
    jwks_uri: `${issuer.issuerUrl}/oauth/jwks`,
    response_types_supported: [],
    grant_types_supported: Object.keys(grantTypes),
    // `spiffe_jwt`: draft-ietf-oauth-spiffe-client-auth. An OIDC workload token is a `private_key_jwt` by its issuer's key.
    token_endpoint_auth_methods_supported: ['private_key_jwt', 'spiffe_jwt'],
    token_endpoint_auth_signing_alg_values_supported: ['ES256', 'EdDSA'],
    dpop_signing_alg_values_supported: ['ES256', 'EdDSA'],
    authorization_details_types_supported: ['bailiwick_grant'],
  }
  http.get('/.well-known/oauth-authorization-server', async (_, reply) => {
    reply.header('cache-control', 'public, max-age=300')
    return metadata
  })
  http.get('/oauth/jwks', async (_, reply) => {
    const now = issuer.clock.now()
    const keys = issuer.keyRing.keys().filter((key) => key.purpose === 'credential' && now < key.notAfter)
    reply.header('cache-control', 'public, max-age=60').type('application/jwk-set+json')
    return jwkSet(keys)
  })
}
