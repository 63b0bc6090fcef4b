import { claimedIssuer, countsFrom, verifyClientAssertion, verifyingKey } from '@bailiwick/credentials'
import type { Issuer } from '../context.ts'
import { livesTooLong, longestAssertion } from './authenticate-client.ts'
import { clientAssertionIn, countAssertion, type FormCall, type OAuthEndpoint, refuseEarlier } from './client-call.ts'
import { OAuthError } from './oauth-error.ts'

/** A caller that may introspect credentials (RFC 7662 §2.1), and for which audiences; undefined means all. */
export interface Reader {
  id: string
  audiences: readonly string[] | undefined
}

const leewayMs = 5000

/** From now on, assertions without a proof count here. */
export function countAssertions(endpoint: OAuthEndpoint): void {
  const { clock, projection } = endpoint.issuer
  // An empty registry means that there is no reader yet: no earlier issuer can have taken an assertion.
  const isFirst = projection.ledger.registry.records().length === 0
  endpoint.countsSince = countsFrom(clock.now(), { isFirst, leewayMs })
}

/**
 * Authenticates an enforcement point by its caller key, or an auditor: `private_key_jwt` (RFC 7523 §2.2) for this endpoint. An agent
 * may not introspect: it can simply use its own credentials, and those of others are none of its business.
 */
export function authenticateReader(endpoint: OAuthEndpoint, call: FormCall): Reader {
  const { issuer, introspectionUrl, tokenUrl } = endpoint
  const { client_assertion_type: type, client_assertion: assertion, client_id } = clientAssertionIn(call)
  const id = client_id ?? claimedIssuer(assertion)
  const now = issuer.clock.now()
  const audiences = [issuer.issuerUrl, introspectionUrl, tokenUrl]
  for (const { key, reader } of id === undefined ? [] : readersOf(issuer, id)) {
    if (key === undefined || !type.endsWith(':jwt-bearer')) continue
    const verified = verifyClientAssertion({ assertion, key, clientId: reader.id, audiences, now, leewayMs })
    if (!verified.ok) {
      if (verified.code === 'token_life_too_long') throw livesTooLong(longestAssertion)
      continue
    }
    call.callerVerified()
    const { jti, exp } = verified.value
    refuseEarlier(endpoint, verified.value)
    countAssertion(endpoint, `${key.purpose} ${reader.id}`, jti, exp * 1000 + leewayMs)
    return reader
  }
  throw new OAuthError(
    'invalid_client',
    'The client assertion does not verify for an enforcement point or an auditor.',
    { status: 401 },
  )
}

/** Two readers of different kinds may have the same name; each then has its own key. */
function readersOf({ projection, trust }: Issuer, id: string) {
  const { registry } = projection.ledger
  const point = registry.enforcementPoint(id)
  const auditor = registry.get('auditor', id)
  return [
    ...(point === undefined
      ? []
      : [
          {
            key: verifyingKey('pep-caller', point.caller_jwk),
            reader: { id, audiences: [trust.public_url, ...point.base_urls] },
          },
        ]),
    ...(auditor === undefined
      ? []
      : [{ key: verifyingKey('auditor', auditor.jwk), reader: { id, audiences: undefined } }]),
  ]
}
