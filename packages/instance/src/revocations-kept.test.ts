import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { type DecodedEvent, topicNamed } from '@bailiwick/contracts'
import { KeyRing } from '@bailiwick/credentials'
import { RevocationState } from '@bailiwick/projection'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Installation, keyDraft, keys, revocation, TestTime, trust } from './installation.fixture.ts'
import { Producer } from './producer.ts'
import { Projection } from './projection.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'revocations-kept-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** An hour stands for a month here, because the sample keys live for a day. Topics are kept in the same way otherwise. */
const month = 3_600_000
const retentionMs = (topic: string) => {
  const cleanup = topicNamed(topic)?.cleanup
  return typeof cleanup === 'object' ? (cleanup.retentionDays / 30) * month : undefined
}

const stopEverything = (version: number) => {
  const draft = revocation(version)
  return { ...draft, data: { ...draft.data, kind: 'all' as const, target: '*' } }
}

it('an issuer that starts after a month without a revocation goes on where the sequence was (V7)', async () => {
  const time = new TestTime()
  let ids = 0
  const start = async () => {
    const partitions = (topic: string) => topicNamed(topic)?.partitions ?? 1
    const bus = await embeddedBus({ dir, now: time.now, partitions, retentionMs })
    const options = { bus, topics: ['revocations.v1'] as const, keyRing: new KeyRing(trust), time }
    const projection = await Projection.open({ ...options, judge: async () => true })
    const newEventId = () => `evt_${String(++ids).padStart(26, '0')}`
    const onFatal = (error: unknown) => {
      throw error
    }
    const instance = `run-${++ids}`
    const { issuer: key } = keys
    const producer = new Producer({ bus, projection, key, service: 'issuer', instance, time, newEventId, onFatal })
    const heard = (state: RevocationState, verdicts: string[]) =>
      projection.onFact(({ topic, event }) => {
        if (topic === 'revocations.v1') verdicts.push(state.apply(event as DecodedEvent<'revocations.v1'>))
      })
    const end = async () => {
      await projection[Symbol.asyncDispose]()
      await bus[Symbol.asyncDispose]()
    }
    return { projection, producer, heard, end }
  }
  // A decision point that runs all the time.
  const pdp = new RevocationState({ base: true })
  const first = await start()
  first.heard(pdp, [])
  await first.producer.publish('registry.v1', [keyDraft('issuer')])
  for (const version of [1, 2, 3]) await first.producer.publishOne('revocations.v1', revocation(version))
  expect(pdp.sequence).toBe(3)
  await first.end()

  time.pass(2 * month)
  const second = await start()
  const verdicts: string[] = []
  second.heard(pdp, verdicts)
  const next = second.projection.ledger.revocations.sequence + 1 // as the issuer's `revoke` does
  await second.producer.publishOne('revocations.v1', stopEverything(next))
  await second.end()
  expect(verdicts).toEqual(['counts'])
  const approvedAfterThree = { delegations: [], grants: [], agents: [], approvers: [], toolServers: [], asOf: 3 }
  expect(pdp.kills(approvedAfterThree)).toMatchObject({ kind: 'all', version: 4 })
})

it('a reader for which the issuer’s last revocation does not count is not fresh, though it was read (V7, V8)', async () => {
  await using installation = await Installation.open()
  const issuer = installation.producer((await installation.reader(['revocations.v1'])).projection)
  await issuer.publish('registry.v1', [keyDraft('issuer')])
  const { projection } = await installation.reader(['revocations.v1'])
  for (const version of [1, 2]) await issuer.publishOne('revocations.v1', revocation(version))
  const sayLast = async (offset: number) => {
    const { source } = issuer
    const counted = { 'revocations.v1': { 0: { offset, id: 'evt' } } }
    const where = { active: true, sequence: 0, hash: 'none', counted, read: {}, stopping: false }
    const data = { service: 'issuer' as const, producer: source, ...where }
    const { position } = await issuer.publishOne('heads.v1', { type: 'head.published', subject: source, data })
    await projection.waitFor(position, 5000)
  }
  await sayLast(projection.revokedUpTo)
  expect(projection.fresh()).toBe(true)
  // An issuer that begins again at 1, as if nothing had been: void for this reader, but it counts for the issuer that publishes it.
  const [again] = await issuer.publish('revocations.v1', [stopEverything(1)])
  if (again?.verdict !== 'void') throw new Error('it counts')
  await projection.waitFor(again.position, 5000)
  expect(projection.fresh()).toBe(true)
  await sayLast(again.position.offset)
  expect(projection.fresh()).toBe(false)
})

it('heads name the last revocation and not its acknowledgement, which a reader from before that type refuses (V7, V8)', async () => {
  await using installation = await Installation.open()
  const issuer = installation.producer((await installation.reader(['revocations.v1'])).projection)
  await issuer.publish('registry.v1', [keyDraft('issuer')])
  const { projection } = await installation.reader(['revocations.v1'])
  const declared = await issuer.publishOne('revocations.v1', revocation(1))
  const acknowledge = async (sequence: number) => {
    const data = { sequence, max_staleness_ms: 2000 }
    const [said] = await issuer.publish('revocations.v1', [
      { type: 'revocation.acknowledged', subject: `revocation ${sequence}`, key: 'revocations', data },
    ])
    if (said === undefined) throw new Error('nothing was published')
    await projection.waitFor(said.position, 5000)
    return said.verdict
  }
  expect(await acknowledge(1)).toBe('counts')
  expect(await acknowledge(2)).toBe('void')
  expect(projection.ledger.revocations).toMatchObject({ sequence: 1, acknowledged: 1 })
  expect(projection.revokedUpTo).toBe(declared.position.offset)
  expect(projection.counted(['revocations.v1'])['revocations.v1']?.['0']?.id).toBe(declared.id)
})
