import { expect, it } from 'vitest'
import { signGenesisStatement } from './genesis-statement.ts'
import { generateKey } from './keys.ts'
import { aTrust, hash, installation, keyFor } from './samples.test-data.ts'
import { anchorKey, encodeTrust, parseTrust, signTrust } from './trust.ts'

const trust = aTrust()
const { jws, ...facts } = trust
const invalid = expect.objectContaining({ code: 'trust_invalid' })
const parse = (change: object) => parseTrust(Buffer.from(JSON.stringify({ ...trust, ...change })))
/** Signed by the same root key, so that the refusal is due to the content. */
const parseSigned = (change: object) => parse(signTrust({ ...facts, ...change } as typeof facts, keyFor('root')))

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
  expect(() => parseSigned(change)).toThrow(invalid)
})

it('refuses an installation that is none', () => {
  expect(() => parse({ installation: 'ins' })).toThrow(/trust.json: installation/)
})

const unsigned = expect.objectContaining({
  code: 'trust_invalid',
  message: expect.stringMatching(/root key did not sign it/),
})

it.each<[string, object]>([
  ['another relying party', { rp_id: 'example.org', origins: ['https://example.org'] }],
  ['one origin more', { origins: [...trust.origins, 'http://localhost:9999'] }],
  ['another public address', { public_url: 'http://localhost:9999' }],
  ['another invitation', { invitation: { jwk: generateKey('invitation').publicJwk } }],
  ['another log', { log: { vkey: 'localhost/log+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW' } }],
  ['another installation', { installation: 'ins_fedcba9876543210' }],
  ['another day', { created_at: '2026-01-02T00:00:00.000Z' }],
  ['the rule of two people', { single_operator: false }],
])('takes %s only if the root key signed it: editing the file is not enough (V3)', (_, change) => {
  expect(() => parse(change)).toThrow(unsigned)
  expect(parseSigned(change)).toMatchObject(change)
})

it('lets one person suffice only if the root key says so: editing the file is not enough (V3)', () => {
  const governed = signTrust({ ...facts, single_operator: false }, keyFor('root'))
  expect(parseTrust(encodeTrust(governed))).toEqual(governed)
  const lax = { ...governed, single_operator: true }
  const other = { installation, entity_type: 'agent', entity_id: 'trust.json', version: 1, after: hash }
  for (const said of [
    governed.jws,
    signTrust(facts, generateKey('root')).jws,
    signTrust({ ...facts, installation: 'ins_fedcba9876543210' }, keyFor('root')).jws,
    signGenesisStatement(other, keyFor('root')),
    `${jws.slice(0, -2)}AA`,
  ])
    expect(() => parse({ ...lax, jws: said })).toThrow(unsigned)
  expect(parse({ ...lax, jws }).single_operator).toBe(true)
})

it('takes origins of the relying party and below', () => {
  const origins = ['https://example.org', 'https://console.example.org:8443']
  expect(parseSigned({ rp_id: 'example.org', origins }).origins).toEqual(origins)
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

it('refuses a trust.json whose commitment to the genesis was taken out, or put in, by who has no root key (V3)', () => {
  const genesis = { count: 3, sha256: 'A'.repeat(43) }
  const committed = signTrust({ ...facts, genesis }, keyFor('root'))
  expect(parseTrust(encodeTrust(committed))).toEqual(committed)
  const { genesis: _, ...without } = committed
  for (const edited of [without, { ...committed, genesis: { ...genesis, count: 2 } }, { ...trust, genesis }])
    expect(() => parseTrust(Buffer.from(JSON.stringify(edited)))).toThrow(invalid)
})
