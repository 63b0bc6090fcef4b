import { beforeEach, describe, expect, it } from 'vitest'
import { signEvent, verifyEventSignature } from './event-signature.ts'
import { KeyRing } from './key-ring.ts'
import { exportPrivateKey, generateKey, importPrivateKey, publicKeyOf } from './keys.ts'
import { aTrust, installation, keyFor, now } from './samples.test-data.ts'
import { type ServiceKeyCertificate, signServiceKeyCertificate } from './service-key-certificate.ts'

const root = keyFor('root')
const issuerKey = generateKey('issuer-event')
const day = 86_400_000
const event = Buffer.from('{"specversion":"1.0","id":"evt-00000001"}')
const signed = signEvent(event, issuerKey)
const rfc3339 = (ms: number) => new Date(ms).toISOString()

function aCertificate(change: Partial<ServiceKeyCertificate> = {}, key = root): string {
  const certificate: ServiceKeyCertificate = {
    installation,
    kid: issuerKey.kid,
    jwk: { ...issuerKey.publicJwk } as ServiceKeyCertificate['jwk'],
    purpose: 'issuer-event',
    service: 'issuer',
    topics: ['grants.v1', 'registry.v1'],
    not_before: rfc3339(now),
    not_after: rfc3339(now + day),
    ...change,
  }
  return signServiceKeyCertificate(certificate, key)
}

let ring: KeyRing
beforeEach(() => {
  ring = new KeyRing(aTrust())
})

it('gives what the root certified', () => {
  const certified = ring.certify(aCertificate())
  expect(certified).toMatchObject({
    ok: true,
    value: {
      kid: issuerKey.kid,
      purpose: 'issuer-event',
      service: 'issuer',
      topics: ['grants.v1', 'registry.v1'],
      notBefore: now,
      notAfter: now + day,
    },
  })
  expect(ring.find(issuerKey.kid, 'issuer-event', now)).toEqual(certified)
  expect(ring.keys()).toHaveLength(1)
})

it('believes no certificate but its own root and installation (V12)', () => {
  const other = generateKey('root')
  expect(ring.certify(aCertificate({}, other))).toMatchObject({ ok: false, code: 'key_unknown' })
  const renamed = { ...other, kid: root.kid }
  expect(ring.certify(aCertificate({}, renamed))).toMatchObject({ ok: false, code: 'signature_invalid' })
  const foreign = aCertificate({ installation: 'ins_ffffffffffffffff' })
  expect(ring.certify(foreign)).toMatchObject({ ok: false, code: 'token_audience_wrong' })
  for (const text of ['', 'a.b.c', signed.toString()]) expect(ring.certify(text)).toMatchObject({ ok: false })
  expect(ring.keys()).toEqual([])
})

it('can demand that a certificate is valid now', () => {
  expect(ring.certify(aCertificate(), now - 1)).toMatchObject({ ok: false, code: 'token_expired' })
  expect(ring.certify(aCertificate(), now + day)).toMatchObject({ ok: false, code: 'token_expired' })
  expect(ring.certify(aCertificate(), now)).toMatchObject({ ok: true })
})

it('finds a key for its purpose and in its time alone (V12)', () => {
  ring.certify(aCertificate())
  expect(ring.find('nobody', 'issuer-event', now)).toMatchObject({ ok: false, code: 'key_unknown' })
  expect(ring.find(issuerKey.kid, 'credential', now)).toMatchObject({ ok: false, code: 'key_purpose_wrong' })
  expect(ring.find(issuerKey.kid, 'issuer-event', now - 1)).toMatchObject({ ok: false, code: 'token_expired' })
  expect(ring.find(issuerKey.kid, 'issuer-event', now + day)).toMatchObject({ ok: false, code: 'token_expired' })
  expect(ring.find(issuerKey.kid, 'issuer-event', Number.NaN)).toMatchObject({ ok: false, code: 'token_expired' })
})

describe('a certificate for a key that is known', () => {
  beforeEach(() => {
    ring.certify(aCertificate())
  })

  it('may come again', () => {
    expect(ring.certify(aCertificate())).toMatchObject({ ok: true })
  })

  it('may narrow, and the wider one then wins nothing by a replay', () => {
    const narrower = { not_after: rfc3339(now + 1000), topics: ['grants.v1'] }
    expect(ring.certify(aCertificate(narrower))).toMatchObject({ ok: true })
    expect(ring.certify(aCertificate())).toMatchObject({ ok: false, code: 'registry_change_conflict' })
    expect(ring.find(issuerKey.kid, 'issuer-event', now + 1000)).toMatchObject({ ok: false, code: 'token_expired' })
    expect(ring.verifyEvent(signed, 'registry.v1', now)).toMatchObject({ ok: false, code: 'key_purpose_wrong' })
  })

  it.each<[string, Partial<ServiceKeyCertificate>]>([
    ['a longer life', { not_after: rfc3339(now + day + 1) }],
    ['an earlier life', { not_before: rfc3339(now - 1) }],
    ['one more topic', { topics: ['grants.v1', 'registry.v1', 'approvals.v1'] }],
    ['another purpose', { purpose: 'credential', topics: [] }],
    ['another service', { purpose: 'approval-event', service: 'approval' }],
  ])('never gives it %s (V12)', (_, change) => {
    expect(ring.certify(aCertificate(change))).toMatchObject({ ok: false, code: 'registry_change_conflict' })
    expect(ring.find(issuerKey.kid, 'issuer-event', now)).toMatchObject({ ok: true })
  })

  it('never revives it once it is retired', () => {
    ring.retire(issuerKey.kid, now + 1000)
    ring.retire(issuerKey.kid, now + 2000)
    expect(ring.certify(aCertificate())).toMatchObject({ ok: false, code: 'registry_change_conflict' })
    expect(ring.verifyEvent(signed, 'grants.v1', now + 999)).toMatchObject({ ok: true })
    expect(ring.verifyEvent(signed, 'grants.v1', now + 1000)).toMatchObject({ ok: false, code: 'token_expired' })
  })

  it('ends at once what is judged by now alone, however far ahead the clock is of who revoked it (V7)', () => {
    const credential = generateKey('credential')
    const jwk = { ...credential.publicJwk } as ServiceKeyCertificate['jwk']
    ring.certify(aCertificate({ kid: credential.kid, jwk, purpose: 'credential', topics: [] }))
    ring.retire(credential.kid, now + 900, now)
    ring.retire(issuerKey.kid, now + 900, now)
    expect(ring.find(credential.kid, 'credential', now)).toMatchObject({ ok: false, code: 'token_expired' })
    // Events are judged by the time that they state, which all readers must read alike.
    expect(ring.verifyEvent(signed, 'grants.v1', now + 899)).toMatchObject({ ok: true })
  })

  it('refuses events of a revoked key that the bus took later, even if they state an earlier time (V12)', () => {
    ring.retire(issuerKey.kid, now + 1000)
    expect(ring.verifyEvent(signed, 'grants.v1', now + 999, now + 60_999)).toMatchObject({ ok: true })
    expect(ring.verifyEvent(signed, 'grants.v1', now + 999, now + 61_000)).toMatchObject({
      ok: false,
      code: 'token_expired',
    })
  })
})

describe('an event', () => {
  beforeEach(() => {
    ring.certify(aCertificate())
  })

  it('is verified by the key that is certified for its topic, at its time', () => {
    const verified = ring.verifyEvent(signed, 'grants.v1', now)
    expect(verified).toMatchObject({
      ok: true,
      value: { unsigned: event, key: { kid: issuerKey.kid, service: 'issuer' } },
    })
  })

  it.each([
    ['on another topic', signed, 'decisions.v1', now, 'key_purpose_wrong'],
    ['before its key is valid', signed, 'grants.v1', now - 1, 'token_expired'],
    ['when its key is no longer valid', signed, 'grants.v1', now + day, 'token_expired'],
    ['at a time that is none', signed, 'grants.v1', Number.NaN, 'token_expired'],
    ['by a stranger', signEvent(event, generateKey('issuer-event')), 'grants.v1', now, 'key_unknown'],
    ['without a signature', event, 'grants.v1', now, 'event_malformed'],
    [
      'that was changed',
      Buffer.from(Buffer.from(signed).toString().replace('evt', 'evu')),
      'grants.v1',
      now,
      'signature_invalid',
    ],
  ])('is refused %s (V12)', (_, bytes, topic, at, code) => {
    expect(ring.verifyEvent(bytes, topic, at)).toMatchObject({ ok: false, code })
  })

  it('is refused by a key that is certified for something else (V12)', () => {
    const material = exportPrivateKey(generateKey('credential'))
    const [credential, forEvents] = [
      importPrivateKey('credential', material),
      importPrivateKey('issuer-event', material),
    ]
    if (credential === undefined || forEvents === undefined) throw new Error('no key')
    const jwk = { ...credential.publicJwk } as ServiceKeyCertificate['jwk']
    ring.certify(aCertificate({ kid: credential.kid, jwk, purpose: 'credential', topics: [] }))
    const stolen = signEvent(event, forEvents)
    expect(verifyEventSignature(stolen, publicKeyOf(forEvents))).toMatchObject({ ok: true })
    expect(ring.verifyEvent(stolen, 'grants.v1', now)).toMatchObject({ ok: false, code: 'key_purpose_wrong' })
  })
})
