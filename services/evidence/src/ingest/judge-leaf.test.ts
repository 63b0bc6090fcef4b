import type { Message } from '@bailiwick/bus'
import { encodeEnvelope, formatSequence } from '@bailiwick/contracts'
import { jcsHash, KeyRing, readKeyFile, signEvent } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { readGenesis } from '@bailiwick/installation'
import type { Projection } from '@bailiwick/instance'
import { systemClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { Installed } from '../evidence.fixture.ts'
import { judgeLeaf } from './judge-leaf.ts'

const { trust, genesis, keys } = (() => {
  using installed = new Installed()
  return {
    trust: installed.trust,
    genesis: readGenesis(installed.data).entities,
    keys: {
      pdp: readKeyFile(installed.at.keys('policy-decision'), 'event', 'pdp-event'),
      issuer: readKeyFile(installed.at.keys('issuer'), 'event', 'issuer-event'),
    },
  }
})()

const topic = 'decisions.v1'
const denied = {
  from: '2026-01-01T00:00:00.000Z',
  to: '2026-01-01T00:01:00.000Z',
  denials: [{ subject: 'agent', reason: 'credential_missing', count: 1 }],
}

function aMessage(more: { source?: string; key?: string; changed?: boolean } = {}): Message {
  const envelope = encodeEnvelope({
    specversion: '1.0',
    id: 'evt_00000000000000000000000000',
    source: more.source ?? '/policy-decision/one',
    type: 'denials.summarised',
    time: new Date(systemClock.now()).toISOString(),
    subject: 'agent',
    datacontenttype: 'application/json',
    dataschema: `urn:bailiwick:schema:${topic}:denials.summarised`,
    partitionkey: 'agent',
    sequence: formatSequence(1),
    previous: 'none',
    data: denied,
  })
  const signed = signEvent(envelope, keys.pdp)
  const bytes = more.changed ? Buffer.from(Buffer.from(signed).toString().replace('"count":1', '"count":2')) : signed
  return { topic, partition: 0, offset: 0, key: more.key ?? 'agent', bytes, timestamp: 0 }
}

/** A reader of the registry, which is folded when the reader waits for it. */
function aReader(folds: 'the keys' | 'nothing' | 'never', stands = true) {
  const ledger = { registry: { stands: () => stands } }
  const keyRing = new KeyRing(trust)
  const waited: number[] = []
  const waitFor: Projection['waitFor'] = async ({ offset }) => {
    waited.push(offset)
    if (folds === 'never') throw new ServiceError('deadline_exceeded')
    if (folds === 'nothing') return
    for (const { type, value } of genesis) if (type === 'service-key') keyRing.certify(value.certificate)
  }
  const judge = (message: Message) =>
    judgeLeaf(message, { keyRing, projection: { waitFor, ledger } as unknown as Projection }, async () => 13)
  return { judge, waited }
}

it('waits for the registry before it calls a key unknown', async () => {
  const { judge, waited } = aReader('the keys')
  expect(await judge(aMessage())).toMatchObject({ kind: 'leaf', event: { type: 'denials.summarised' } })
  expect(waited).toEqual([12])
  expect(await judge(aMessage())).toMatchObject({ kind: 'leaf' })
  expect(waited).toEqual([12])
})

it('calls a key unknown that the registry does not certify (V12)', async () => {
  expect(await aReader('nothing').judge(aMessage())).toMatchObject({ kind: 'unsigned', code: 'key_unknown' })
})

it('says nothing while the registry cannot be read', async () => {
  await expect(aReader('never').judge(aMessage())).rejects.toMatchObject({ code: 'deadline_exceeded' })
})

it('folds the registry up to an event of its own before it judges it: a key may certify itself there', async () => {
  const [first] = genesis
  if (first?.type !== 'service-key') throw new Error('service keys come first')
  const { type, id, value, jws } = first
  const subject = `${type} ${id}`
  const envelope = encodeEnvelope({
    specversion: '1.0',
    id: 'evt_00000000000000000000000001',
    source: '/issuer/one',
    type: 'service-key.registered',
    time: new Date(systemClock.now()).toISOString(),
    subject,
    datacontenttype: 'application/json',
    dataschema: 'urn:bailiwick:schema:registry.v1:service-key.registered',
    partitionkey: subject,
    version: 1,
    sequence: formatSequence(1),
    previous: 'none',
    data: { entity: { type, id }, value, hash: jcsHash(value), authorization: { kind: 'root', jws } },
  })
  const bytes = signEvent(envelope, keys.issuer)
  const { judge, waited } = aReader('the keys')
  const message = { topic: 'registry.v1', partition: 0, offset: 5, key: subject, bytes, timestamp: 0 }
  expect(await judge(message)).toEqual({ kind: 'leaf', event: expect.anything() })
  expect(waited).toEqual([5])
  // Signed by the issuer's own key, but not valid in any reader's registry: a leaf, and a finding (V3).
  expect(await aReader('the keys', false).judge(message)).toMatchObject({
    kind: 'leaf',
    refused: 'registry_change_refused',
  })
})

it.each<[string, Parameters<typeof aMessage>[0], object]>([
  ['changed', { changed: true }, { kind: 'unsigned', code: 'signature_invalid' }],
  ["in another service's name", { source: '/issuer/one' }, { kind: 'unsigned', code: 'key_purpose_wrong' }],
  ['under another key than it names', { key: 'other' }, { kind: 'unreadable', code: 'event_malformed' }],
])('takes no event that was put there %s (V12)', async (_, more, expected) => {
  expect(await aReader('the keys').judge(aMessage(more))).toMatchObject(expected)
})

it('reads nothing on a topic that there is not', async () => {
  expect(await aReader('the keys').judge({ ...aMessage(), topic: 'other.v1' })).toEqual({
    kind: 'unreadable',
    code: 'event_type_unknown',
  })
})

it('waits for nothing to call a signature wrong, or bytes no event', async () => {
  const { judge, waited } = aReader('the keys')
  await judge(aMessage())
  waited.length = 0
  expect(await judge(aMessage({ changed: true }))).toMatchObject({ code: 'signature_invalid' })
  expect(await judge({ ...aMessage(), bytes: Buffer.from('{') })).toEqual({
    kind: 'unreadable',
    code: 'json_malformed',
  })
  expect(waited).toEqual([])
})
