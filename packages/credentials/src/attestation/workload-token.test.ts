import { createHmac, createPublicKey } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { encodeBase64url } from '../base64url.ts'
import { refused } from '../verified.ts'
import { Authority, agentId, audience, now, seconds } from './authority.fixture.ts'
import { parseAuthorityKeys } from './authority-keys.ts'
import { verifyWorkloadToken } from './workload-token.ts'

const [first, second, elliptic] = [
  await Authority.open('first'),
  await Authority.open('second'),
  await Authority.open('elliptic', 'ES384'),
]
const bundle = JSON.stringify({ keys: [first, second, elliptic].map(({ jwk }) => ({ ...jwk, use: 'jwt-svid' })) })
const read = parseAuthorityKeys(Buffer.from(bundle), ['jwt-svid'])
const claims = { sub: `${agentId}/one`, aud: [audience], exp: seconds(now) + 300, iat: seconds(now) }
const good = await first.sign(claims)

const verify = (token: string, at = now) =>
  verifyWorkloadToken(token, {
    find: async (kid) => read?.keys.get(kid) ?? refused('key_unknown', 'none'),
    typs: ['JWT', undefined],
    audiences: [audience],
    now: at,
  })
const part = (value: object) => encodeBase64url(JSON.stringify(value))
const [, payload = '', signature = ''] = good.split('.')

it('takes RSA and elliptic keys alike, each by the algorithm of its record', async () => {
  expect(await verify(good)).toEqual({ ok: true, value: claims })
  expect(await verify(await elliptic.sign(claims))).toMatchObject({ ok: true })
})

/** The attack on verifiers that let the header choose: the public key, known to everyone, as an HMAC secret. */
function macWithPublicKey(): string {
  const key = createPublicKey({ key: { ...first.jwk } as never, format: 'jwk' })
  const signed = `${part({ alg: 'HS256', kid: 'first' })}.${payload}`
  const pem = key.export({ type: 'spki', format: 'pem' })
  return `${signed}.${createHmac('sha256', pem).update(signed).digest('base64url')}`
}

describe('refuses (V12)', () => {
  it.each<[string, () => string | Promise<string>]>([
    ['alg none', () => `${part({ alg: 'none', kid: 'first' })}.${payload}.${signature}`],
    ['alg none without a signature', () => `${part({ alg: 'none', kid: 'first' })}.${payload}.`],
    ['HS256 with the public key', macWithPublicKey],
    ['another algorithm of the same key', () => first.sign(claims, { alg: 'PS256' }).catch(() => 'PS256')],
    ['the kid of another key', () => first.sign(claims, { kid: 'second' })],
    ['a kid that no key has', () => first.sign(claims, { kid: 'third' })],
    ['no kid', () => first.sign(claims, { kid: undefined })],
    ['a key in the header', () => first.sign(claims, { jwk: { ...second.jwk } })],
    ['an address of keys in the header', () => first.sign(claims, { jku: 'https://evil.example/keys' })],
    ['crit', () => `${part({ alg: 'RS256', kid: 'first', crit: ['exp'] })}.${payload}.${signature}`],
    ['the type of another thing', () => first.sign(claims, { typ: 'at+jwt' })],
    ['another payload under the signature', () => good.replace(payload, part({ ...claims, sub: `${agentId}/two` }))],
    ['another spelling of the same signature', () => `${good}=`],
    [
      'duplicate members',
      () => first.sign(claims).then((token) => token.replace(payload, encodeBase64url('{"a":1,"a":2}'))),
    ],
    ['two audiences', () => first.sign({ ...claims, aud: [audience, 'https://elsewhere.example'] })],
    ['no audience', () => first.sign({ ...claims, aud: [] })],
    ['no exp', () => first.sign({ ...claims, exp: undefined })],
    ['an exp that is no number', () => first.sign({ ...claims, exp: 'tomorrow' as never }).catch(() => 'no number')],
    ['one that is not valid yet', () => first.sign({ ...claims, nbf: seconds(now) + 60 })],
  ])('%s', async (_, make) => {
    expect(await verify(await make())).toMatchObject({ ok: false })
  })

  it('one that has expired, to the millisecond', async () => {
    expect(await verify(good, claims.exp * 1000 - 1)).toMatchObject({ ok: true })
    expect(await verify(good, claims.exp * 1000)).toMatchObject({ ok: false, code: 'token_expired' })
    expect(await verify(good, Number.NaN)).toMatchObject({ ok: false })
  })
})

describe('a set of keys', () => {
  const parse = (set: unknown, uses: (string | undefined)[] = ['jwt-svid']) =>
    parseAuthorityKeys(Buffer.from(JSON.stringify(set)), uses)?.keys.size

  it.each<[string, unknown, number | undefined]>([
    ['keys for something else', { keys: [{ ...first.jwk, use: 'x509-svid' }] }, 0],
    ['keys without a use', { keys: [first.jwk] }, 0],
    ['a symmetric key', { keys: [{ kty: 'oct', k: 'AAAA', kid: 'first', use: 'jwt-svid', alg: 'HS256' }] }, 0],
    ['a private key', { keys: [{ ...first.jwk, use: 'jwt-svid', d: 'AAAA' }] }, 0],
    ['an algorithm that is not of the key', { keys: [{ ...first.jwk, use: 'jwt-svid', alg: 'HS256' }] }, 0],
    ['two keys of one kid', { keys: [first, second].map(({ jwk }) => ({ ...jwk, kid: 'same', use: 'jwt-svid' })) }, 0],
    ['no key without a kid', { keys: [{ ...first.jwk, kid: undefined, use: 'jwt-svid' }] }, 0],
    ['no set', { keys: 'none' }, undefined],
    ['a list', [], undefined],
  ])('%s', (_, set, size) => {
    expect(parse(set)).toBe(size)
  })
})
