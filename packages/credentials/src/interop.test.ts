import { compactVerify, createLocalJWKSet, importJWK, jwtVerify, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { verifyAccessToken } from './access-token.ts'
import { verifyClientAssertion } from './client-assertion.ts'
import { verifyInvitation } from './invitation.ts'
import { exportPrivateKey, generateKey, jwkSet, publicKeyOf, verifyingKey } from './keys.ts'
import {
  accessTokenClaims,
  agentId,
  clocked,
  forge,
  hash,
  installation,
  issuer,
  keyFor,
  now,
  sampleOf,
} from './samples.test-data.ts'

it('makes credentials that a resource server reads with jose and our JWK Set (RFC 9068)', async () => {
  const keys = createLocalJWKSet(jwkSet([publicKeyOf(generateKey('credential')), publicKeyOf(keyFor('credential'))]))
  const { payload } = await jwtVerify(sampleOf('accessToken').sign(), keys, {
    typ: 'at+jwt',
    algorithms: ['ES256'],
    issuer,
    audience: 'https://api.example',
    requiredClaims: ['exp', 'jti', 'client_id', 'cnf'],
    currentDate: new Date(now),
  })
  expect(payload).toEqual(accessTokenClaims)
})

it('makes outcomes and statements of the root that jose reads', async () => {
  for (const kind of ['outcome', 'serviceKey', 'genesis', 'permit'] as const) {
    const { claims, header, sign } = sampleOf(kind)
    const read = await compactVerify(sign(), await importJWK(keyFor('root').publicJwk, 'ES256'))
    expect(JSON.parse(Buffer.from(read.payload).toString())).toEqual(claims)
    expect(read.protectedHeader).toEqual(header)
  }
})

it('takes an invitation that a browser signed with WebCrypto', async () => {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
  const jwk = await crypto.subtle.exportKey('jwk', pair.publicKey)
  const key = verifyingKey('invitation', jwk)
  if (key === undefined) throw new Error('no key')
  const { claims } = sampleOf('invitation')
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${encode({ alg: 'ES256', typ: 'bailiwick-invitation+jws', kid: key.kid })}.${encode(claims)}`
  const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, Buffer.from(signed))
  const invitation = `${signed}.${Buffer.from(signature).toString('base64url')}`
  expect(verifyInvitation({ invitation, key, installation })).toEqual({ ok: true, value: claims })
})

describe("a client assertion by other people's software", () => {
  const agent = generateKey('agent')
  const asserted = { iss: agentId, sub: agentId, aud: issuer, exp: now / 1000 + 60, jti: 'theirs' }
  async function verify(header: object, claims: object, audiences = [issuer, `${issuer}/oauth/token`]) {
    const secret = await importJWK({ ...exportPrivateKey(agent) }, 'ES256')
    const assertion = await new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256', ...header }).sign(secret)
    return verifyClientAssertion({ assertion, key: publicKeyOf(agent), clientId: agentId, audiences, ...clocked })
  }

  it.each([
    ['no typ, no kid', {}, {}],
    ['typ JWT', { typ: 'JWT' }, {}],
    ['its own typ', { typ: 'client-authentication+jwt' }, {}],
    ['our kid', { kid: agent.kid }, {}],
    ['one audience in a list', {}, { aud: [issuer] }],
    ['the token endpoint as audience', {}, { aud: `${issuer}/oauth/token` }],
    ['iat, nbf and more', { x: 1 }, { iat: now / 1000, nbf: now / 1000, scope: 'x' }],
  ])('is taken with %s', async (_, header, change) => {
    const iat = 'iat' in change ? { iat: change.iat } : {}
    const value = { clientId: agentId, jti: 'theirs', exp: asserted.exp, ...iat }
    expect(await verify(header, { ...asserted, ...change })).toEqual({ ok: true, value })
  })

  it.each([
    ['two audiences', { aud: [issuer, 'https://other.example'] }, 'token_malformed'],
    ['no audience', { aud: [] }, 'token_malformed'],
    ['another audience', { aud: 'https://other.example' }, 'token_audience_wrong'],
    ['an audience that starts like ours', { aud: `${issuer}.evil.example` }, 'token_audience_wrong'],
    ['another issuer', { iss: 'spiffe://example.org/agent/other/1' }, 'key_unknown'],
    ['another subject', { sub: 'spiffe://example.org/agent/other/1' }, 'key_unknown'],
    ['no jti', { jti: undefined }, 'token_malformed'],
    ['no exp', { exp: undefined }, 'token_malformed'],
    ['a long life', { exp: now / 1000 + 301 }, 'token_life_too_long'],
    ['an nbf to come', { nbf: now / 1000 + 1 }, 'token_expired'],
    ['an iat to come', { iat: now / 1000 + 1 }, 'token_expired'],
  ])('is refused with %s', async (_, change, code) => {
    expect(await verify({}, { ...asserted, ...change })).toMatchObject({ ok: false, code })
  })
})

describe('a token for another recipient', () => {
  const token = sampleOf('accessToken').sign()
  const key = publicKeyOf(keyFor('credential'))

  it.each([
    [{ issuer: 'https://other.example' }],
    [{ audience: 'https://other.example' }],
    [{ audience: 'https://api.example/' }],
  ])('is refused by %j', (change) => {
    const options = { token, key, issuer, audience: 'https://api.example', ...clocked }
    expect(verifyAccessToken(options)).toMatchObject({ ok: true })
    expect(verifyAccessToken({ ...options, ...change })).toMatchObject({ ok: false, code: 'token_audience_wrong' })
  })

  it.each([
    ['serviceKey', { installation: 'ins_ffffffffffffffff' }, 'token_audience_wrong'],
    ['genesis', { installation: 'ins_ffffffffffffffff' }, 'token_audience_wrong'],
    ['invitation', { installation: 'ins_ffffffffffffffff' }, 'token_audience_wrong'],
    ['outcome', { installation: 'ins_ffffffffffffffff' }, 'token_audience_wrong'],
    ['outcome', { enforcement_point: 'pep-2' }, 'key_unknown'],
    ['accessRequest', { aud: 'ins_ffffffffffffffff' }, 'token_audience_wrong'],
    ['accessRequest', { sub: 'spiffe://example.org/agent/clerk/2' }, 'key_unknown'],
    ['callerAssertion', { aud: 'https://other.example' }, 'token_audience_wrong'],
    ['callerAssertion', { iss: 'pep-2', sub: 'pep-2' }, 'key_unknown'],
    ['callerAssertion', { sub: 'pep-2' }, 'token_malformed'],
    ['permit', { iss: 'https://other.example' }, 'token_audience_wrong'],
    ['permit', { aud: 'pep-2' }, 'token_audience_wrong'],
    ['permit', { action_digest: 'A'.repeat(43) }, 'token_audience_wrong'],
    ['serviceKey', { kid: hash }, 'token_malformed'],
    ['serviceKey', { service: 'approval' }, 'token_malformed'],
    ['serviceKey', { purpose: 'agent' }, 'token_malformed'],
    ['serviceKey', { purpose: 'permit', service: 'policy-decision' }, 'token_malformed'],
    ['serviceKey', { topics: [] }, 'token_malformed'],
    ['serviceKey', { not_after: '2026-01-01T00:00:00.000Z' }, 'token_malformed'],
    ['accessRequest', { not_after: '2030-03-17T19:00:00.000Z' }, 'token_malformed'],
    ['accessRequest', { expires_in_seconds: 8 * 3600 + 1 }, 'token_malformed'],
    ['accessRequest', { authority: [] }, 'token_malformed'],
    ['outcome', { sequence: 0 }, 'token_malformed'],
    ['outcome', { cost: { amount: '1e3', currency: 'EUR' } }, 'token_malformed'],
  ] as const)('%s with %j is refused', (kind, change, code) => {
    const { claims, header, verify } = sampleOf(kind)
    expect(verify(forge(header, { ...claims, ...change }))).toMatchObject({ ok: false, code })
  })
})
