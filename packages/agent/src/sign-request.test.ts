import { generateKeyPairSync, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAuthority } from '@bailiwick/authority'
import { accessRequestsV1, decodeEvent } from '@bailiwick/contracts'
import { saltedHash, sha256, verifyAccessRequest, verifyingKey } from '@bailiwick/credentials'
import { describe, expect, it } from 'vitest'
import { authority, FakeInstallation } from './installation.fixture.ts'

const ask = { authority, mode: 'window', expiresInSeconds: 3600 } as const

describe('an access request', () => {
  it('is signed by the instance for this installation, with the hash of its words and not the words', async () => {
    await using fake = await FakeInstallation.start()
    const signed = fake.agent().signRequest({ ...ask, purpose: 'Reconcile the invoices.' })
    const verified = fake.verifyRequest(signed.jws)
    expect(verified).toMatchObject({ ok: true, value: { authority, mode: 'window', expires_in_seconds: 3600 } })
    const { salt = '', text = '' } = signed.purpose ?? {}
    expect(Buffer.from(salt, 'base64url')).toHaveLength(16)
    const hash = sha256(Buffer.concat([Buffer.from(salt, 'base64url'), Buffer.from(text)]))
    expect(verified).toMatchObject({ value: { purpose: { salted_sha256: hash } } })
    expect(Buffer.from(signed.jws.split('.')[1] ?? '', 'base64url').toString()).not.toContain('Reconcile the')
  })

  it('becomes an event that the contracts take, the same one however often it is made', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    const signed = agent.signRequest({ ...ask, purpose: 'why' })
    const { key, bytes } = agent.accessRequestEvent(signed)
    expect(decodeEvent(accessRequestsV1, bytes)).toMatchObject({
      ok: true,
      event: {
        type: 'access-request.submitted',
        subject: key,
        source: agent.id,
        data: { request: signed.jws, purpose: signed.purpose },
      },
    })
    expect(key).toBe(`req_${sha256(signed.jws)}`)
    expect(agent.accessRequestEvent(signed)).toEqual({ key, bytes })
  })

  it('for one action brings all its arguments, under a salted hash, and the digest of the same text (V3)', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    const action = { name: 'tools/call', properties: { b: 1, a: 'INV-40' }, resource: { type: 'tool', id: 'x/y' } }
    const one = { ...ask, mode: 'per_action', action } as const
    const signed = agent.signRequest(one)
    const shown = signed.arguments ?? { salt: '', text: '' }
    expect(shown.text).toBe(
      '{"action":{"name":"tools/call","properties":{"a":"INV-40","b":1}},"resource":{"id":"x/y","type":"tool"}}',
    )
    expect(fake.verifyRequest(signed.jws)).toMatchObject({
      value: { action_digest: sha256(shown.text), arguments: { salted_sha256: saltedHash(shown) } },
    })
    expect(Buffer.from(signed.jws.split('.')[1] ?? '', 'base64url').toString()).not.toContain('INV-40')
    expect(decodeEvent(accessRequestsV1, agent.accessRequestEvent(signed).bytes)).toMatchObject({
      event: { data: { arguments: shown } },
    })
    const refused = (over: object, code: string) =>
      expect(() => agent.signRequest({ ...one, ...over })).toThrow(expect.objectContaining({ code }))
    refused({ actionDigest: sha256('another') }, 'arguments_mismatch')
    refused({ action: { ...action, properties: { a: 'x'.repeat(20_000) } } }, 'arguments_too_long')
    refused({ action: { ...action, properties: { a: '\ud800' } } }, 'request_malformed')
  })

  it('for two equal wishes is two requests', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    expect(agent.signRequest(ask).jws.split('.')[1]).not.toBe(agent.signRequest(ask).jws.split('.')[1])
  })

  it.each([
    ['an unknown member', { ...authority, expires: 'never' }, 'authority_not_understood'],
    ['no permissions', { ...authority, permissions: undefined }, 'authority_malformed'],
    [
      'a prefix that looks like a folder and is none',
      {
        ...authority,
        permissions: authority.permissions.map((one) => ({ ...one, where: { '/path': { prefix: '/srv/reports' } } })),
      },
      'prefix_not_a_path',
    ],
  ])('with %s is refused before anybody is asked', async (_, wrong, code) => {
    await using fake = await FakeInstallation.start()
    expect(() => fake.agent().signRequest({ ...ask, authority: wrong })).toThrow(expect.objectContaining({ code }))
  })
})

it('docs/how-to/asking.md shows a request that is accepted, even if it was made without this SDK', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/how-to/asking.md'), 'utf8')
  const shown = (what: string) =>
    JSON.parse(new RegExp(`^\`\`\`json ${what}\\n(.*?)^\`\`\``, 'ms').exec(page)?.[1] ?? '')
  const claims = shown('claims')
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = verifyingKey('agent', publicKey.export({ format: 'jwk' }))
  if (key === undefined) throw new Error('no key of an agent')
  const input = [{ ...shown('header'), kid: key.kid }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  )
  const signature = sign('sha256', Buffer.from(input.join('.')), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  const verified = verifyAccessRequest({
    request: [...input, signature.toString('base64url')].join('.'),
    key,
    subject: claims.sub,
    installation: claims.aud,
    now: claims.iat * 1000,
    leewayMs: 0,
  })
  expect(verified).toMatchObject({ ok: true, value: claims })
  expect(parseAuthority(claims.authority)).toMatchObject({ ok: true })
})
