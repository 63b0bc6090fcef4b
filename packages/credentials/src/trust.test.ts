import { expect, it } from 'vitest'
import { signGenesisStatement } from './genesis-statement.ts'
import { generateKey } from './keys.ts'
import { aTrust, hash, installation, keyFor } from './samples.test-data.ts'
import { anchorKey, encodeTrust, parseTrust, signSingleOperator } from './trust.ts'

const trust = aTrust()
const invalid = expect.objectContaining({ code: 'trust_invalid' })
const parse = (change: object) => parseTrust(Buffer.from(JSON.stringify({ ...trust, ...change })))

it('reads back what it writes', () => {
  expect(parseTrust(encodeTrust(trust))).toEqual(trust)
  expect(anchorKey(trust, 'root').kid).toBe(keyFor('root').kid)
  expect(anchorKey(trust, 'invitation').purpose).toBe('invitation')
})

it.each(Object.keys(trust).map((member) => [member]))('needs %s', (member) => {
  expect(() => parse({ [member]: undefined })).toThrow(invalid)
  expect(() => parse({ [member]: null })).toThrow(invalid)
})

it.each([
  ['another version', { v: 2 }],
  ['a member that is not understood', { quorum: 1 }],
  ['a text for a truth value', { single_operator: 'false' }],
  ['an installation that is none', { installation: 'ins' }],
  ['a root key with its private half', { root: { jwk: { ...generateKey('root').publicJwk, d: 'AAAA' } } }],
  ['a root key off the curve', { root: { jwk: { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) } } }],
  ['an Ed25519 root key', { root: { jwk: generateKey('agent', 'EdDSA').publicJwk } }],
  ['one key as root and invitation', { invitation: trust.root }],
  ['no origin', { origins: [] }],
  ['an origin with a path', { origins: ['http://localhost:8420/'] }],
  ['an origin with its default port', { origins: ['http://localhost:80'] }],
  ['an origin outside the relying party', { origins: ['https://localhost.evil.example'] }],
  ['an origin that only ends alike', { origins: ['https://evillocalhost'] }],
  ['an opaque origin', { origins: ['null'] }],
  ['a public address that is none', { public_url: 'localhost:8420' }],
  ['a log key that is none', { log: { vkey: 'log+1234' } }],
  ['a day that is none', { created_at: '2026-02-30T00:00:00.000Z' }],
])('refuses %s', (_, change) => {
  expect(() => parse(change)).toThrow(invalid)
})

it('lets one person be enough by the root key’s word alone, whoever edits the file (V3)', () => {
  const { single_operator_jws: said, ...governed } = { ...trust, single_operator: false }
  expect(parseTrust(Buffer.from(JSON.stringify(governed)))).toEqual(governed)
  expect(parse({}).single_operator).toBe(true)
  const other = { installation, entity_type: 'agent', entity_id: 'single-operator', version: 1, after: hash }
  for (const single_operator_jws of [
    undefined,
    signSingleOperator(installation, generateKey('root')),
    signSingleOperator('ins_fedcba9876543210', keyFor('root')),
    signGenesisStatement(other, keyFor('root')),
    `${said?.slice(0, -2)}AA`,
  ])
    expect(() => parse({ single_operator_jws })).toThrow(
      expect.objectContaining({ code: 'trust_invalid', message: expect.stringMatching(/root key did not sign it/) }),
    )
})

it('takes origins of the relying party and below', () => {
  const origins = ['https://example.org', 'https://console.example.org:8443']
  expect(parse({ rp_id: 'example.org', origins }).origins).toEqual(origins)
})

it('refuses what is no strict JSON', () => {
  const text = JSON.stringify(trust)
  for (const bytes of ['', '{', 'null', '[]', `${text}x`, `{"v":1,${text.slice(1)}`, `\ufeff${text}`]) {
    expect(() => parseTrust(Buffer.from(bytes))).toThrow(invalid)
  }
})

it('writes nothing that it would not read', () => {
  expect(() => encodeTrust({ ...trust, origins: [] })).toThrow(invalid)
})
