import { generateKey, publicKeyOf, sha256, signNotification } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { verifyCallback } from './callback.ts'

const key = generateKey('notification')
const installation = 'ins_0123456789abcdef'
const url = 'https://agents.example/hook'
const now = 1_900_000_000_000
const body = Buffer.from(JSON.stringify({ state: 's-1', task: { id: 'req_1', status: 'approved' } }))
const signed = (over: object = {}) =>
  signNotification(
    { iss: installation, aud: url, iat: now / 1000, jti: 'dlv-1', body_sha256: sha256(body), ...over },
    key,
  )
const options = { signature: signed(), body, url, key: publicKeyOf(key), installation, now }

it('accepts a callback signed for this body and this URL, if the signature is recent', () => {
  expect(verifyCallback(options)).toEqual({ requestId: 'req_1', status: 'approved', state: 's-1', deliveryId: 'dlv-1' })
})

it.each<[string, Partial<Parameters<typeof verifyCallback>[0]>]>([
  ['by another key', { key: publicKeyOf(generateKey('notification')) }],
  ['of another installation', { installation: 'ins_abcdefghijklmnop' }],
  ['to another URL', { url: `${url}2` }],
  ['with another body', { body: Buffer.from(body.toString().replace('approved', 'denied  ')) }],
  ['of long ago', { now: now + 301_000 }],
  ['of a time to come', { now: now - 301_000 }],
  ['with no time', { now: Number.NaN }],
  [
    'with a body that is no news',
    { signature: signed({ body_sha256: sha256(Buffer.from('{}')) }), body: Buffer.from('{}') },
  ],
  ['with no JSON', { signature: signed({ body_sha256: sha256(Buffer.from('x')) }), body: Buffer.from('x') }],
])('believes none %s', (_, over) => {
  expect(verifyCallback({ ...options, ...over })).toBeUndefined()
})
