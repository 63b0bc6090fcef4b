import { authZenEndpoints, obligationsGiven, sendJson } from '@bailiwick/authzen'
import { obligationTypes } from '@bailiwick/contracts'
import { type AnswerOf, policyDecisionRoutes } from '@bailiwick/contracts/api'
import { jwkSet, type ServicePurpose } from '@bailiwick/credentials'
import type { HttpServer } from '@bailiwick/host'
import { publishedKeys } from '@bailiwick/projection'
import type { Clocked, State } from '../ports.ts'

const { describeDecisionPoint, listPermitKeys } = policyDecisionRoutes
const published: ReadonlySet<ServicePurpose> = new Set(['permit', 'binding-token'])

/**
 * AuthZEN metadata (1.0 §9), the keys of permits and of binding tokens. Each key carries the root's certificate, so that an enforcement
 * point trusts it because of trust.json and not because of its source.
 */
export function metadataRoutes(
  http: HttpServer,
  { publicUrl, trust, projection, keyRing, clock }: State & Pick<Clocked, 'clock'>,
): void {
  http.get(describeDecisionPoint.path, async (_, reply) => {
    reply.header('cache-control', 'public, max-age=300')
    const metadata: AnswerOf<typeof describeDecisionPoint> = {
      policy_decision_point: publicUrl,
      ...authZenEndpoints(publicUrl),
      access_request_endpoint: `${trust.public_url}/access/v1/requests`,
      jwks_uri: `${publicUrl}/access/v1/jwks`,
      ...obligationsGiven(obligationTypes),
      capabilities: ['urn:openid:authzen:capability:access-request'],
    }
    return sendJson(reply, metadata)
  })
  http.get(listPermitKeys.path, async (_, reply) => {
    const { ledger } = projection
    const keys = publishedKeys(ledger, keyRing, published, clock.now())
    reply.header('cache-control', 'public, max-age=60').type(listPermitKeys.gives)
    return {
      keys: jwkSet(keys).keys.map((key) => ({
        ...key,
        certificate: ledger.registry.get('service-key', key.kid)?.certificate,
      })),
    }
  })
}
