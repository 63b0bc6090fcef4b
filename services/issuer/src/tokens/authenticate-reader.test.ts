import { generateKey, signClientAssertion } from '@bailiwick/credentials'
import { ReplayMemory, testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { authenticateReader, countAssertions } from './authenticate-reader.ts'
import type { OAuthEndpoint } from './client-call.ts'
import type { OAuthError } from './oauth-error.ts'

const key = generateKey('auditor')
const issuerUrl = 'https://issuer.example'

function anIssuer(clock = testClock()) {
  const registered: object[] = []
  const registry = {
    enforcementPoint: () => undefined,
    get: () => ({ id: 'siem', jwk: key.publicJwk }),
    records: () => registered,
  }
  const issuer = { issuerUrl, clock, trust: {}, projection: { ledger: { registry } } }
  const endpoint = {
    issuer,
    introspectionUrl: `${issuerUrl}/oauth/introspect`,
    replay: new ReplayMemory(),
    countsSince: Number.POSITIVE_INFINITY,
  } as unknown as OAuthEndpoint
  const form = (assertion: string) => ({
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
  })
  const ask = (assertion: string) => {
    try {
      return authenticateReader(endpoint, {
        form: form(assertion),
        dpop: undefined,
        authorization: false,
        callerVerified: () => undefined,
      }).id
    } catch (error) {
      return (error as OAuthError).error
    }
  }
  return { clock, registered, endpoint, ask, seconds: () => Math.floor(clock.now() / 1000) }
}

let count = 0
function assertion(iat: number | undefined, exp: number): string {
  const claims = { iss: 'siem', sub: 'siem', aud: issuerUrl, ...(iat === undefined ? {} : { iat }), exp }
  return signClientAssertion({ ...claims, jti: `assertion-${count++}` }, key)
}

it('takes no assertion that the issuer before it may have taken, whose maker may be ahead of its clock (V10)', () => {
  const before = anIssuer()
  countAssertions(before.endpoint)
  const now = before.seconds()
  const taken = assertion(now + 4, now + 60)
  expect([before.ask(taken), before.ask(taken)]).toEqual(['siem', 'invalid_client'])

  before.clock.advance(1000)
  const { clock, registered, endpoint, ask, seconds } = anIssuer(before.clock)
  expect(ask(assertion(seconds(), seconds() + 60))).toBe('temporarily_unavailable')
  registered.push({ type: 'auditor', id: 'siem' })
  countAssertions(endpoint)
  expect(ask(taken)).toBe('temporarily_unavailable')
  expect(ask(assertion(seconds(), seconds() + 60))).toBe('temporarily_unavailable')
  expect(ask(assertion(undefined, seconds() + 300))).toBe('temporarily_unavailable')
  clock.advance(6000)
  expect(ask(taken)).toBe('temporarily_unavailable')
  expect(ask(assertion(seconds(), seconds() + 60))).toBe('siem')
})

it('accepts any valid assertion when no instance ran before it', () => {
  const { endpoint, ask, seconds } = anIssuer()
  countAssertions(endpoint)
  const now = seconds()
  for (const iat of [now - 1, undefined, now, now + 4]) expect(ask(assertion(iat, now + 60))).toBe('siem')
})
