import { type AnswerOf, type AssertionType, issuerRoutes } from '@bailiwick/contracts/api'
import { agentAlgorithms, jwkSet, type ServicePurpose } from '@bailiwick/credentials'
import { authorityAlgorithms } from '@bailiwick/credentials/attestation'
import type { HttpServer } from '@bailiwick/host'
import { publishedKeys } from '@bailiwick/projection'
import type { OAuthEndpoint } from '../tokens/client-call.ts'
import { grantTypes } from '../tokens/token-endpoint.ts'

const { describeIssuer, listCredentialKeys } = issuerRoutes

const published: ReadonlySet<ServicePurpose> = new Set(['credential'])

/** Algorithms of assertions: signed by an agent's own key, or by the authority that vouches for a workload. */
const assertionAlgorithms = [...new Set([...agentAlgorithms, ...authorityAlgorithms])]

/**
 * The method name of each assertion type (RFC 7591 §2). An OIDC workload token is a `private_key_jwt` by its issuer's key.
 * `spiffe_jwt` is from draft-ietf-oauth-spiffe-client-auth. Methods without a registered name are URIs.
 */
const methodNames: Record<AssertionType, string> = {
  'urn:ietf:params:oauth:client-assertion-type:jwt-bearer': 'private_key_jwt',
  'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe': 'spiffe_jwt',
  'urn:bailiwick:params:oauth:client-assertion-type:join-token':
    'urn:bailiwick:params:oauth:client-assertion-type:join-token',
}

/**
 * RFC 8414 metadata, with exactly what is supported, and the credential keys (RFC 7517). There is no
 * `authorization_response_iss_parameter_supported` (RFC 9207): without an authorization endpoint, no response could be mixed up.
 */
export function metadataRoutes(http: HttpServer, endpoint: OAuthEndpoint): void {
  const { issuer, tokenUrl, introspectionUrl, revocationUrl } = endpoint
  const metadata: AnswerOf<typeof describeIssuer> = {
    issuer: issuer.issuerUrl,
    token_endpoint: tokenUrl,
    introspection_endpoint: introspectionUrl,
    revocation_endpoint: revocationUrl,
    jwks_uri: `${issuer.issuerUrl}/oauth/jwks`,
    // Required; empty, since there is no authorization endpoint.
    response_types_supported: [],
    grant_types_supported: Object.keys(grantTypes),
    token_endpoint_auth_methods_supported: Object.values(methodNames),
    token_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    introspection_endpoint_auth_methods_supported: ['private_key_jwt'],
    introspection_endpoint_auth_signing_alg_values_supported: ['ES256'],
    revocation_endpoint_auth_methods_supported: Object.values(methodNames),
    revocation_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    dpop_signing_alg_values_supported: [...agentAlgorithms],
    authorization_details_types_supported: ['bailiwick_grant'],
  }
  http.get(describeIssuer.path, async (_, reply) => {
    reply.header('cache-control', 'public, max-age=300')
    return metadata
  })
  http.get(listCredentialKeys.path, async (_, reply) => {
    const { projection, keyRing, clock } = issuer
    const keys = publishedKeys(projection.ledger, keyRing, published, clock.now())
    reply.header('cache-control', 'public, max-age=60').type(listCredentialKeys.gives)
    return jwkSet(keys)
  })
}
