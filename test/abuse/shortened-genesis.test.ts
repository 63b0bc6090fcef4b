import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { embeddedBus } from '@bailiwick/bus/embedded'
import type { ServiceName } from '@bailiwick/contracts'
import { type EventPurpose, encodeTrust, jcsHash, parseTrust, readKeyFile, signTrust } from '@bailiwick/credentials'
import { topicSettings } from '@bailiwick/host/process'
import { paths, readGenesis } from '@bailiwick/installation'
import { type Draft, openParticipant } from '@bailiwick/instance'
import { newId, systemClock, systemRandom } from '@bailiwick/kit'
import { freePort, type Place, preparePlace, startSystem } from '@bailiwick/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { eventually, projectAdapters, Scene } from './scene.ts'

// The root key signs each entity of the genesis separately. An attacker who reaches the data directory before the first
// start can leave some of them out without a key, for example the rules that would have required two people.

type Entities = { type: string; id: string; jws: string }[]

let data = ''
let place: Place
let ports: { port: number; invoicesPort: number }
let parts: Awaited<ReturnType<typeof projectAdapters>>
beforeEach(async () => {
  parts = await projectAdapters()
  data = mkdtempSync(join(tmpdir(), 'abuse-genesis-'))
  ports = { port: await freePort(), invoicesPort: await freePort() }
  place = await preparePlace({ data, ...ports })
})
afterEach(async () => {
  await parts[Symbol.asyncDispose]()
  rmSync(data, { recursive: true, force: true })
})

const options = () => ({ data, ...ports, ...(parts.adapters && { adapters: parts.adapters }) })
const start = () => startSystem(options())

it('a genesis edited before the first start does not start, and the complete one does (V3)', async () => {
  const file = paths(data).genesis
  const honest = readFileSync(file, 'utf8')
  const { v, entities } = JSON.parse(honest) as { v: 1; entities: Entities }
  const edits: [Entities, RegExp][] = [
    [entities.filter(({ id }) => id !== 'registry'), /genesis\.json holds \d+ entities, trust\.json signs \d+/],
    [[...entities, ...entities.slice(-1)], /genesis\.json holds \d+ entities, trust\.json signs \d+/],
    [[...entities.slice(0, -2), ...entities.slice(-2).reverse()], /genesis\.json: its .* order/],
    [[...entities.slice(0, -1), ...entities.slice(-2, -1)], /genesis\.json: its .* order/],
  ]
  for (const [edited, error] of edits) {
    writeFileSync(file, JSON.stringify({ v, entities: edited }))
    const refused = { code: 'trust_invalid', message: expect.stringMatching(error) }
    await expect(start()).rejects.toMatchObject(refused)
  }
  // Nothing of the refused ones was published: the installation begins as its maker signed it.
  writeFileSync(file, honest)
  await using scene = await Scene.open(options())
  expect(scene.ledger.registry.get('rule', 'registry')).toBeDefined()
  expect((await scene.audited()).findings).toEqual([])
})

it('an installation of an earlier version continues if it was started then, and cannot be started new (V3)', async () => {
  const { jws: _, genesis, ...facts } = parseTrust(readFileSync(paths(data).trust))
  expect(genesis).toBeDefined()
  const root = readKeyFile(paths(data).keys('root'), 'root', 'root')
  const honest = readFileSync(paths(data).trust)
  const earlier = encodeTrust(signTrust(facts, root))
  writeFileSync(paths(data).trust, earlier)
  await expect(start()).rejects.toMatchObject({ code: 'trust_invalid', message: expect.stringContaining('init again') })
  writeFileSync(paths(data).trust, honest)
  await (await start())[Symbol.asyncDispose]()
  writeFileSync(paths(data).trust, earlier)
  await using scene = await Scene.open(options())
  await scene.stillWorks()
  // Without the root key an attacker cannot turn a trust.json into one of an earlier version.
  const { genesis: __, ...edited } = parseTrust(honest)
  expect(() => parseTrust(Buffer.from(JSON.stringify(edited)))).toThrow('trust_invalid')
})

it('a genesis shortened by a stolen issuer admits no one, and no reader counts as fresh (V3, V8)', async () => {
  await using own = new AsyncDisposableStack()
  const embedded = () => embeddedBus({ dir: paths(data).bus, now: () => systemClock.now(), ...topicSettings })
  const bus = parts.adapters?.bus ?? own.use(await embedded())
  const speaks = (service: ServiceName, purpose: EventPurpose) =>
    openParticipant({
      ...{ bus, trust: place.trust, service, instance: newId('evt', systemClock.now(), systemRandom).slice(4) },
      eventKey: readKeyFile(paths(data).keys(service), 'event', purpose),
      ...{ follows: [], time: systemClock, newEventId: () => newId('evt', systemClock.now(), systemRandom) },
      ...{ onHeadError: (error) => Promise.reject(error), onFatal: (error) => Promise.reject(error) },
    })
  await using thief = await speaks('issuer', 'issuer-event')
  const { entities } = readGenesis(data)
  const publish = async (all: typeof entities) => {
    for (const { type, id, value, jws } of all) {
      if (type === 'service-key') thief.keyRing.certify(value.certificate)
      const said = { entity: { type, id }, value, hash: jcsHash(value), authorization: { kind: 'root', jws } }
      const draft = { type: `${type}.registered`, subject: `${type} ${id}`, version: 1, data: said }
      await thief.producer.publish('registry.v1', [draft as Draft<'registry.v1'>]).catch(() => undefined)
    }
  }
  const left = entities.findIndex(({ type }) => type === 'rule')
  await publish(entities.toSpliced(left, 1))
  await using reader = await speaks('policy-decision', 'pdp-event')
  const { projection } = reader
  await eventually('its heads are heard', () => projection.heads.active('issuer'))
  expect(projection.ledger.registry.taken).toBe(entities.length - 1)
  expect(projection.fresh()).toBe(false)
  // The omitted part comes too late: the order is signed, too.
  await publish(entities.slice(left, left + 1))
  await projection.readToEnds(['registry.v1'], 5000)
  expect(projection.ledger.registry.taken).toBe(entities.length - 1)
  expect(projection.fresh()).toBe(false)
})
