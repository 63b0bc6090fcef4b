import { customObligations, obligationTypes } from '@bailiwick/contracts'
import { jwkSet, type ServicePurpose } from '@bailiwick/credentials'
import type { HttpServer } from '@bailiwick/host'
import { publishedKeys } from '@bailiwick/projection'
import type { Clocked, State } from '../ports.ts'
import { authZenPaths, sendJson } from './authzen.ts'

const published: ReadonlySet<ServicePurpose> = new Set(['permit', 'binding-token'])

/** Lists every endpoint (AuthZEN 1.0 §9.1.1): callers may not use an endpoint that is left out. */
export const authZenEndpoints = (publicUrl: string) =>
  Object.fromEntries(Object.entries(authZenPaths).map(([parameter, path]) => [parameter, `${publicUrl}${path}`]))

/** AuthZEN obligations profile, "PDP Metadata Extension". For type `custom` we also list the values of `properties.action`. */
export const obligationsGiven = (types: readonly (typeof obligationTypes)[number][]) => ({
  supported_obligations: [...types],
  bailiwick_obligations: [...customObligations],
})

/**
 * AuthZEN metadata (1.0 §9), the keys of permits and of binding tokens. Each key carries the root's certificate, so that an enforcement
 * point trusts it because of trust.json and not because of its source.
 */
export function metadataRoutes(
  http: HttpServer,
  { publicUrl, trust, projection, keyRing, clock }: State & Pick<Clocked, 'clock'>,
): void {
  http.get('/.well-known/authzen-configuration', async (_, reply) => {
    reply.header('cache-control', 'public, max-age=300')
    return sendJson(reply, {
      policy_decision_point: publicUrl,
      ...authZenEndpoints(publicUrl),
      access_request_endpoint: `${trust.public_url}/access/v1/requests`,
      jwks_uri: `${publicUrl}/access/v1/jwks`,
      ...obligationsGiven(obligationTypes),
      capabilities: ['urn:openid:authzen:capability:access-request'],
    })
  })
  http.get('/access/v1/jwks', async (_, reply) => {
    const { ledger } = projection
    const keys = publishedKeys(ledger, keyRing, published, clock.now())
    reply.header('cache-control', 'public, max-age=60').type('application/jwk-set+json')
    return {
      keys: jwkSet(keys).keys.map((key) => ({
        ...key,
        certificate: ledger.registry.get('service-key', key.kid)?.certificate,
      })),
    }
  })
}
