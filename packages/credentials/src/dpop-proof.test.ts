import { EmbeddedJWK, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { sha256 } from './base64url.ts'
import { makeDpopProof, proofId, verifyDpopProof } from './dpop-proof.ts'
import { exportPrivateKey, generateKey } from './keys.ts'
import { forge, hash, keyFor, now, publicKey } from './samples.test-data.ts'

const key = generateKey('agent')
const call = { htm: 'POST', htu: 'https://api.example/invoices?page=2', accessToken: 'token' }
const made = { ...call, jti: 'proof-1', now }
const window = { now, leewayMs: 0, maxAgeMs: 60_000 }

it('says which key made it, and what else it carries', () => {
  const proof = makeDpopProof({ ...made, nonce: 'n1', actionDigest: hash }, key)
  expect(verifyDpopProof({ proof, ...call, ...window })).toEqual({
    ok: true,
    value: { jkt: key.kid, jwk: key.publicJwk, jti: 'proof-1', iat: now, nonce: 'n1', actionDigest: hash },
  })
})

it.each([
  ['another method', { htm: 'GET' }],
  ['the method in lower case', { htm: 'post' }],
  ['another path', { htu: 'https://api.example/invoices/1' }],
  ['another host', { htu: 'https://evil.example/invoices' }],
  ['another scheme', { htu: 'http://api.example/invoices' }],
  ['a target that is none', { htu: '/invoices' }],
  ['another token', { accessToken: 'token2' }],
  ['no token', { accessToken: undefined }],
])('is refused for %s (V11)', (_, change) => {
  const proof = makeDpopProof(made, key)
  const refusal = { ok: false, code: 'token_audience_wrong' }
  expect(verifyDpopProof({ proof, ...call, ...window, ...change })).toMatchObject(refusal)
})

it('matches no target that is none with another that is none', () => {
  const claims = { htm: 'POST', htu: '/invoices', iat: now / 1000, jti: 'p', ath: sha256('token') }
  const proof = forge({ alg: 'ES256', typ: 'dpop+jwt', jwk: publicKey }, claims)
  expect(verifyDpopProof({ proof, ...call, htu: '/invoices', ...window })).toMatchObject({ ok: false })
})

it('is refused without the hash of the token that it should be over (V11)', () => {
  const proof = makeDpopProof({ ...made, accessToken: undefined }, key)
  expect(verifyDpopProof({ proof, ...call, ...window })).toMatchObject({ ok: false, code: 'token_audience_wrong' })
  expect(verifyDpopProof({ proof, ...call, accessToken: undefined, ...window })).toMatchObject({ ok: true })
})

it('is fresh from its making until maxAgeMs, and the leeway on both sides', () => {
  const proof = makeDpopProof(made, key)
  const at = (ms: number, leewayMs = 0) => verifyDpopProof({ proof, ...call, ...window, now: now + ms, leewayMs }).ok
  expect([at(-1), at(0), at(60_000), at(60_001)]).toEqual([false, true, true, false])
  expect([at(-5001, 5000), at(-5000, 5000), at(65_000, 5000), at(65_001, 5000)]).toEqual([false, true, true, false])
  expect(at(Number.NaN)).toBe(false)
})

it('is refused without the nonce that is demanded, or with another', () => {
  const ask = (nonce: string | undefined) =>
    verifyDpopProof({ proof: makeDpopProof({ ...made, nonce }, key), ...call, ...window, nonce: 'n2' })
  expect(ask('n2')).toMatchObject({ ok: true, value: { nonce: 'n2' } })
  for (const nonce of [undefined, 'n1', 'N2', 'n2 '])
    expect(ask(nonce)).toMatchObject({ ok: false, code: 'token_expired' })
})

describe('the key in its header', () => {
  const claims = { htm: 'POST', htu: 'https://api.example/invoices', iat: now / 1000, jti: 'p', ath: sha256('token') }
  const header = { alg: 'ES256', typ: 'dpop+jwt', jwk: publicKey }
  const verify = (change: object) =>
    verifyDpopProof({ proof: forge({ ...header, ...change }, claims), ...call, ...window })

  it('is the one that signed', () => {
    expect(verify({})).toMatchObject({ ok: true, value: { jkt: keyFor('agent').kid } })
    expect(verify({ jwk: key.publicJwk })).toMatchObject({ ok: false, code: 'signature_invalid' })
  })

  it('names itself: a kid beside it changes nothing', () => {
    expect(verify({ kid: key.kid })).toMatchObject({ ok: true, value: { jkt: keyFor('agent').kid } })
  })

  it.each([
    ['missing', undefined],
    ['null', null],
    ['a private key', exportPrivateKey(keyFor('agent'))],
    ['a symmetric key', { kty: 'oct', k: 'AAAA' }],
    ['a key of another curve', { ...publicKey, crv: 'P-384' }],
    ['an Ed25519 key', generateKey('agent', 'EdDSA').publicJwk],
  ])('is refused when it is %s (V12)', (_, jwk) => {
    expect(verify({ jwk })).toMatchObject({ ok: false, code: 'token_malformed' })
  })
})

it.each([['ES256'], ['EdDSA'], ['Ed25519']])(
  "takes the proof of other people's software (%s, by jose)",
  async (alg) => {
    const { privateKey, publicKey: foreignKey } = await generateKeyPair(alg, { extractable: true })
    const proof = await new SignJWT({
      htm: 'POST',
      htu: 'https://api.example/invoices',
      ath: sha256('token'),
      extra: 1,
    })
      .setProtectedHeader({ alg, typ: 'dpop+jwt', jwk: await exportJWK(foreignKey) })
      .setIssuedAt(now / 1000)
      .setJti('theirs')
      .sign(privateKey)
    expect(verifyDpopProof({ proof, ...call, ...window })).toMatchObject({ ok: true, value: { jti: 'theirs' } })
  },
)

it.each([['ES256' as const], ['EdDSA' as const]])("is taken by other people's software (%s, by jose)", async (alg) => {
  const proof = makeDpopProof(made, generateKey('agent', alg))
  const { payload } = await jwtVerify(proof, EmbeddedJWK, {
    typ: 'dpop+jwt',
    maxTokenAge: 60,
    currentDate: new Date(now),
    algorithms: ['ES256', 'EdDSA'],
  })
  expect(payload).toEqual({
    htm: 'POST',
    htu: 'https://api.example/invoices',
    iat: now / 1000,
    jti: 'proof-1',
    ath: sha256('token'),
  })
})

it('is not made for what is no target', () => {
  expect(() => makeDpopProof({ ...made, htu: '/invoices' }, key)).toThrow(
    expect.objectContaining({ code: 'invariant_broken' }),
  )
})

it('has one name for its key and its jti together, and no other pair has it (V10)', () => {
  const id = proofId({ jkt: key.kid, jti: 'proof-1' })
  expect(id).toBe(sha256(`["bailiwick-proof","${key.kid}","proof-1"]`))
  const others = [
    { jkt: key.kid, jti: 'proof-2' },
    { jkt: generateKey('agent').kid, jti: 'proof-1' },
    { jkt: key.kid, jti: 'proof-1 ' },
    { jkt: `${key.kid}","proof`, jti: '-1' },
  ]
  expect(new Set([id, ...others.map(proofId)]).size).toBe(others.length + 1)
})
