import { inspect } from 'node:util'
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import { expect, expectTypeOf, it } from 'vitest'
import { encodeBase64url } from './base64url.ts'
import { parsePublicJwk, thumbprint } from './jwk.ts'
import {
  exportPrivateKey,
  generateKey,
  importPrivateKey,
  jwkSet,
  publicKeyOf,
  type SigningKey,
  type VerifyingKey,
  verifyingKey,
} from './keys.ts'

const data = Buffer.from('data')
const algorithms = ['ES256', 'EdDSA'] as const

it.each(algorithms)('signs with %s what its public half verifies, and nothing else', (alg) => {
  const key = generateKey('agent', alg)
  const signature = key.sign(data)
  const open = publicKeyOf(key)
  expect([open.alg, open.kid, signature.length]).toEqual([alg, key.kid, 64])
  expect(open.verify(data, signature)).toBe(true)
  expect(open.verify(Buffer.from('date'), signature)).toBe(false)
  expect(publicKeyOf(generateKey('agent', alg)).verify(data, signature)).toBe(false)
  for (const wrong of [
    signature.subarray(1),
    Buffer.concat([signature, Buffer.from([0])]),
    Buffer.alloc(64),
    Buffer.alloc(0),
  ]) {
    expect(open.verify(data, wrong)).toBe(false)
  }
})

it.each(algorithms)('names %s keys as RFC 7638 does, by the word of jose', async (alg) => {
  const { publicKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(publicKey)
  expect(verifyingKey('agent', jwk)?.kid).toBe(await calculateJwkThumbprint(jwk))
})

it('is bound to its purpose by type (V12)', () => {
  expectTypeOf<SigningKey<'permit'>>().not.toExtend<SigningKey<'credential'>>()
  expectTypeOf<VerifyingKey<'agent'>>().not.toExtend<VerifyingKey<'outcome'>>()
  expectTypeOf<SigningKey>().not.toExtend<SigningKey<'permit'>>()
})

it('gives no purpose but agent an Ed25519 key (V12)', () => {
  const { publicJwk } = generateKey('agent', 'EdDSA')
  const secret = exportPrivateKey(generateKey('agent', 'EdDSA'))
  for (const purpose of ['root', 'credential', 'outcome', 'pep-caller', 'issuer-event'] as const) {
    expect(verifyingKey(purpose, publicJwk)).toBeUndefined()
    expect(importPrivateKey(purpose, secret)).toBeUndefined()
    expect(() => generateKey(purpose, 'EdDSA')).toThrow(expect.objectContaining({ code: 'invariant_broken' }))
  }
})

it.each(algorithms)('shows its private half (%s) to exportPrivateKey only (V17)', (alg) => {
  const key = generateKey('agent', alg)
  const { d } = exportPrivateKey(key)
  const shown = [JSON.stringify(key), inspect(key, { depth: 9, showHidden: true }), JSON.stringify({ ...key })]
  for (const text of [...shown, JSON.stringify(publicKeyOf(key)), JSON.stringify(jwkSet([publicKeyOf(key)]))]) {
    expect(text).not.toContain(d)
    expect(text).not.toContain('"d"')
  }
})

it('survives export and import, and keeps its name', () => {
  for (const alg of algorithms) {
    const key = generateKey('agent', alg)
    const again = importPrivateKey('agent', exportPrivateKey(key))
    expect(again?.kid).toBe(key.kid)
    expect(publicKeyOf(key).verify(data, again?.sign(data) ?? data)).toBe(true)
  }
})

it('refuses halves that do not belong together', () => {
  for (const alg of algorithms) {
    const { d } = exportPrivateKey(generateKey('agent', alg))
    expect(importPrivateKey('agent', { ...generateKey('agent', alg).publicJwk, d })).toBeUndefined()
  }
})

const ec = generateKey('root').publicJwk
const okp = generateKey('agent', 'EdDSA').publicJwk
it.each([
  ['nothing', undefined],
  ['null', null],
  ['text', 'x'],
  ['an array', [ec]],
  ['nothing inside', {}],
  ['a private half', exportPrivateKey(generateKey('root'))],
  ['an empty private half', { ...ec, d: undefined }],
  ['a symmetric key', { kty: 'oct', k: 'AAAA' }],
  ['a symmetric member', { ...ec, k: 'AAAA' }],
  ['RSA', { kty: 'RSA', n: 'AAAA', e: 'AQAB' }],
  ['another curve', { ...ec, crv: 'P-384' }],
  ['secp256k1', { ...ec, crv: 'secp256k1' }],
  ['X25519', { ...okp, crv: 'X25519' }],
  ['no y', { ...ec, y: undefined }],
  ['a short x', { ...ec, x: ec.x.slice(2) }],
  [
    'an x with a leading zero',
    { ...ec, x: encodeBase64url(Buffer.concat([Buffer.alloc(1), Buffer.from(ec.x, 'base64url')])) },
  ],
  ['a padded x', { ...ec, x: `${ec.x}=` }],
  ['an x with white space', { ...ec, x: `${ec.x}\n` }],
  ['a point off the curve', { ...ec, x: ec.kty === 'EC' ? ec.y : '', y: ec.x }],
  ['zero', { ...ec, x: 'A'.repeat(43), y: 'A'.repeat(43) }],
  ['an encryption key', { ...ec, use: 'enc' }],
  ['another algorithm', { ...ec, alg: 'ES384' }],
  ['a MAC', { ...ec, alg: 'HS256' }],
])('takes %s for no public key', (_, jwk) => {
  expect(verifyingKey('agent', jwk)).toBeUndefined()
})

it('keeps of a JWK what its thumbprint covers', () => {
  expect(parsePublicJwk({ ...ec, kid: 'k1', alg: 'ES256', use: 'sig', ext: true, key_ops: ['verify'] })).toEqual(ec)
  expect(parsePublicJwk({ ...okp, alg: 'Ed25519' })).toEqual(okp)
})

it('has the thumbprint of RFC 8037 appendix A.3', () => {
  const x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'
  expect(thumbprint({ kty: 'OKP', crv: 'Ed25519', x })).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
})
