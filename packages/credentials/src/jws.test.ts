import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { encodeBase64url } from './base64url.ts'
import { claimedIssuer, claimedKeyId, parseHeader } from './jws.ts'
import { exportPrivateKey, generateKey, publicKeyOf } from './keys.ts'
import { kinds } from './kinds.ts'
import { forge, keyFor, publicKey, publicPem, type Sample, sampleOf, samples } from './samples.test-data.ts'

const stranger = generateKey('agent')

const recorded = samples.filter(({ kind }) => kind !== 'dpopProof' && kind !== 'delegation')
const ours = samples.filter(({ kind }) => kind !== 'dpopProof' && kind !== 'clientAssertion')

function refusesHeader({ verify, header, claims }: Sample, change: object): void {
  expect(verify(forge({ ...header, ...change }, claims))).toMatchObject({ ok: false })
}

describe.each(samples)('$kind', (sample) => {
  const { claims, header, sign, verify } = sample

  it('is taken when forged exactly as it should be, so that what follows tests one change each', () => {
    expect(verify(forge(header, claims))).toMatchObject({ ok: true })
  })

  it('is refused without a signature (V12)', () => {
    const [first, second] = forge({ ...header, alg: 'none' }, claims).split('.')
    for (const jws of [`${first}.${second}.`, `${first}.${second}`, `${first}..`, '..', '']) {
      expect(verify(jws)).toMatchObject({ ok: false })
    }
    const [, , signature] = sign().split('.')
    expect(verify(`${first}.${second}.${signature}`)).toMatchObject({ ok: false })
  })

  it.each([
    ['PEM', publicPem],
    ['JWK', JSON.stringify(publicKey)],
    ['x', Buffer.from(publicKey.x, 'base64url')],
  ])('is refused with an HMAC under the public key as %s (V12)', (_, secret) => {
    const signed = `${encodeBase64url(JSON.stringify({ ...header, alg: 'HS256' }))}.${encodeBase64url(JSON.stringify(claims))}`
    const mac = createHmac('sha256', secret).update(signed)
    expect(verify(`${signed}.${mac.digest('base64url')}`)).toMatchObject({ ok: false })
  })

  it.each([
    [{ alg: 'none' }],
    [{ alg: 'EdDSA' }],
    [{ alg: 'Ed25519' }],
    [{ alg: 'HS256' }],
    [{ alg: 'ES384' }],
    [{ alg: 'es256' }],
    [{ alg: undefined }],
    [{ alg: ['ES256'] }],
    [{ alg: { toString: 'ES256' } }],
  ])('is refused when its header says %j: the key record says the algorithm (V12)', (change) =>
    refusesHeader(sample, change),
  )

  it.each([
    [{ crit: [] }],
    [{ crit: ['b64'], b64: true }],
    [{ b64: false }],
    [{ zip: 'DEF' }],
    [{ jku: 'https://attacker.example/jwks' }],
    [{ x5u: 'https://attacker.example/cert' }],
    [{ x5c: ['AAAA'] }],
    [{ typ: 'jose' }],
    [{ typ: ['at+jwt'] }],
    [{ typ: `application/${header.typ}` }],
    [{ typ: String(header.typ).toUpperCase() }],
    [{ typ: `${header.typ} ` }],
  ])('is refused with %j in its header (V12)', (change) => refusesHeader(sample, change))

  it('is refused with duplicate members in its header', () => {
    const [, payload] = sign().split('.')
    const text = `{"alg":"none",${JSON.stringify(header).slice(1)}`
    const signed = `${encodeBase64url(text)}.${payload}`
    expect(verify(`${signed}.${encodeBase64url(keyFor('root').sign(Buffer.from(signed)))}`)).toMatchObject({
      ok: false,
    })
  })
})

describe.each(recorded)('$kind, whose key has a record', (sample) => {
  const { kind, sign, verify } = sample

  it('is refused with a key of its own in the header (V12)', () => {
    refusesHeader(sample, { jwk: publicKey })
    refusesHeader(sample, { jwk: stranger.publicJwk })
  })

  it('is refused under the name of another key, and by another key (V12)', () => {
    refusesHeader(sample, { kid: stranger.kid })
    refusesHeader(sample, { kid: 1 })
    const other = generateKey(kinds[kind].purposes[0])
    expect(verify(sign(), { key: publicKeyOf(other) })).toMatchObject({ ok: false, code: 'key_unknown' })
    const renamed = { ...publicKeyOf(other), kid: keyFor('root').kid }
    expect(verify(sign(), { key: renamed })).toMatchObject({ ok: false, code: 'signature_invalid' })
  })
})

describe.each(ours)('$kind, which only we make', (sample) => {
  it('is refused with a header that lacks a member, or has one more', () => {
    const named = sample.kind === 'delegation' ? 'jwk' : 'kid'
    const more = sample.kind === 'delegation' ? { kid: publicKeyOf(keyFor('agent')).kid } : { jwk: publicKey }
    for (const change of [{ typ: undefined }, { [named]: undefined }, { cty: 'JWT' }, { x: 1 }, more])
      refusesHeader(sample, change)
  })
})

it('finds the key and the issuer that a token claims, and nothing in what is no token', () => {
  const token = sampleOf('accessToken').sign()
  expect(claimedKeyId(token)).toBe(keyFor('credential').kid)
  expect(claimedIssuer(token)).toBe('http://localhost:8422')
  expect(claimedKeyId(sampleOf('dpopProof').sign())).toBeUndefined()
  for (const text of ['', 'a.b.c', '..', `${token}=`, `${token}.x`]) {
    expect(claimedKeyId(text)).toBeUndefined()
    expect(claimedIssuer(text)).toBeUndefined()
  }
})

it('reads a header by its every character, however often, and freezes what it returns (V12)', () => {
  const segmentOf = (n: number) => encodeBase64url(JSON.stringify({ alg: 'ES256', jwk: { x: 'x' }, n }))
  const segment = segmentOf(0)
  const read = parseHeader(segment)
  expect(read).toEqual({ alg: 'ES256', jwk: { x: 'x' }, n: 0 })
  expect([read, read?.jwk].map(Object.isFrozen)).toEqual([true, true])
  for (const other of [`${segment}=`, ` ${segment}`, segment.slice(0, -4), ''])
    expect(parseHeader(other)).toBeUndefined()
  for (let n = 0; n < 5000; n++) expect(parseHeader(segmentOf(n))?.n).toBe(n)
  expect(parseHeader(segment)).toEqual(read)
})

it('keeps private halves out of every signed thing (V17)', () => {
  const { d } = exportPrivateKey(keyFor('root'))
  for (const { sign } of samples) {
    for (const segment of sign().split('.')) expect(Buffer.from(segment, 'base64url').toString()).not.toContain(d)
  }
})
