import { join } from 'node:path'
import { generateKey, otherSpellingOf, signEvent } from '@bailiwick/credentials'
import { after, systemClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { LeafIndex } from '../index/leaf-index.ts'
import { type Break, faultyLogStorage, type StorageWrite } from './faulty-log-storage.ts'
import { LogFolder, logKey } from './log.fixture.ts'
import { Log, type Published } from './log.ts'
import type { LogStorage } from './log-storage.ts'
import { Sequencer, type SequencerOptions } from './sequencer.ts'

const event = (n: number, more = '') =>
  Buffer.from(JSON.stringify({ id: `evt_${n}`, type: 't', source: '/issuer/a', subject: 's', data: { n, more } }))
const place = (offset: number) => ({ topic: 'grants.v1', partition: 0, offset })

async function aSequencer(
  folder: LogFolder,
  {
    plan,
    wrap = (storage) => storage,
    ...options
  }: Partial<SequencerOptions> & {
    plan?: (write: StorageWrite) => Break | undefined
    wrap?: (storage: LogStorage) => LogStorage
  } = {},
  pace: Pick<SequencerOptions, 'paceMs'> = { paceMs: 20 },
) {
  const disk = await folder.open()
  const storage = wrap(faultyLogStorage(disk, plan ?? (() => undefined)))
  const log = await Log.open(storage, logKey, () => systemClock.now())
  const index = await LeafIndex.open(join(folder.dir, 'index'), storage, log.checkpoint)
  const fatal = Promise.withResolvers<unknown>()
  const monotonic = () => systemClock.monotonic()
  const sequencer = new Sequencer({
    log,
    index,
    monotonic,
    onFatal: fatal.resolve,
    ...pace,
    ...options,
  })
  return {
    log,
    index,
    sequencer,
    fatal: fatal.promise,
    async [Symbol.asyncDispose]() {
      await sequencer[Symbol.asyncDispose]()
      await index[Symbol.asyncDispose]()
      await storage[Symbol.asyncDispose]()
    },
  }
}

it('gives no leaf of its own to the other spelling of a signature, at once, later and after a restart (V2)', async () => {
  using folder = new LogFolder()
  const key = generateKey('issuer-event')
  const signed = [0, 1].map((n) => signEvent(event(n), key))
  const others = signed.map((bytes) => otherSpellingOf(bytes) ?? expect.fail('it has none'))
  {
    await using it = await aSequencer(folder)
    const all = [...signed, ...others].map((bytes, offset) => it.sequencer.add(bytes, place(offset)))
    expect(await Promise.all(all)).toEqual([0, 1, 0, 1])
    await it.sequencer.integrated('evt_1', 60_000)
    expect(await it.sequencer.add(others[1] as Uint8Array, place(4))).toBe(1)
    expect(it.sequencer.consumed).toEqual({ 'grants.v1': { 0: 4 } })
  }
  await using it = await aSequencer(folder)
  expect(await it.sequencer.add(others[0] as Uint8Array, place(5))).toBe(0)
  expect(await it.sequencer.add(signed[0] as Uint8Array, place(6))).toBe(0)
  expect(it.log.size).toBe(2)
})

it('gives one leaf to what is delivered many times, at once, later and after a restart (V2)', async () => {
  using folder = new LogFolder()
  {
    await using it = await aSequencer(folder)
    const indexes = await Promise.all([0, 1, 0, 1, 0].map((n, offset) => it.sequencer.add(event(n), place(offset))))
    expect(indexes).toEqual([0, 1, 0, 1, 0])
    expect(await it.sequencer.add(event(1), place(5))).toBe(1)
  }
  await using it = await aSequencer(folder)
  expect(await it.sequencer.add(event(0), place(6))).toBe(0)
  expect(it.log.size).toBe(2)
})

it('gives a leaf of its own to other bytes under a known id (V2)', async () => {
  using folder = new LogFolder()
  await using it = await aSequencer(folder)
  expect(await it.sequencer.add(event(0), place(0))).toBe(0)
  expect(await it.sequencer.add(event(0, 'other'), place(1))).toBe(1)
  expect(await it.sequencer.integrated('evt_0', 2000)).toBe(0)
})

it('answers only when no crash can take the leaf back, and a checkpoint follows (V2)', async () => {
  using folder = new LogFolder()
  const published = Promise.withResolvers<Published>()
  {
    // The process dies before it publishes anything.
    await using it = await aSequencer(folder, {
      plan: ({ method, n }) => (method === 'publishCheckpoint' && n === 1 ? 'before' : undefined),
    })
    expect(await it.sequencer.add(event(0), place(0))).toBe(0)
    await it.fatal
  }
  expect(await folder.check()).toMatchObject({ ok: true, size: 0 })
  await using it = await aSequencer(folder, { onPublished: published.resolve })
  expect((await folder.check()).entries).toEqual([event(0).toString()])
  await it.sequencer.add(event(1), place(1))
  await published.promise
  expect((await folder.check()).entries[1]).toBe(event(1).toString())
})

it('answers while the tree cannot be written, and has it all as soon as it can (V2)', async () => {
  using folder = new LogFolder()
  const held = Promise.withResolvers<void>()
  let published = 0
  {
    await using it = await aSequencer(folder, {
      wrap: (storage) => ({ ...storage, write: (files) => held.promise.then(() => storage.write(files)) }),
      onPublished: () => void published++,
    })
    for (let n = 0; n < 50; n++) expect(await it.sequencer.add(event(n), place(n))).toBe(n)
    expect({ published, ...(await folder.check()) }).toMatchObject({ published: 0, ok: true, size: 0 })
    held.resolve()
  }
  expect(published).toBeLessThanOrEqual(2)
  expect((await folder.check()).entries).toEqual(Array.from({ length: 50 }, (_, n) => event(n).toString()))
})

it('answers every caller when a second write fails after the one that ended it (V13)', async () => {
  using folder = new LogFolder()
  const [ended, entering] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let fatal = 0
  await using it = await aSequencer(folder, {
    wrap: (storage) => ({
      ...storage,
      async write() {
        await entering.promise
        throw new Error('EIO')
      },
      async enter(record, size) {
        if (record.from === 0) return storage.enter(record, size)
        entering.resolve()
        await ended.promise
        throw new Error('EIO')
      },
    }),
    onFatal() {
      fatal++
      ended.resolve()
    },
  })
  expect(await it.sequencer.add(event(0), place(0))).toBe(0)
  await expect(it.sequencer.add(event(1), place(1))).rejects.toMatchObject({ code: 'outcome_unknown' })
  expect(fatal).toBe(1)
})

it('publishes checkpoints at most a second apart under load, and at once after a pause', async () => {
  using folder = new LogFolder()
  const times: number[] = []
  const monotonic = () => systemClock.monotonic()
  const onPublished = (_: Published) => void times.push(monotonic())
  // As in production, with the default pace.
  await using it = await aSequencer(folder, { onPublished }, {})
  const began = monotonic()
  await it.sequencer.add(event(-1), place(0))
  expect(monotonic() - began).toBeLessThan(1000)
  const added: Promise<number>[] = []
  for (let n = 0; monotonic() - began < 1500; n++) {
    added.push(it.sequencer.add(event(n), place(n)))
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await Promise.all(added)
  const apart = times.slice(1).map((time, n) => time - (times[n] ?? 0))
  expect(times.length).toBeGreaterThan(2)
  expect(Math.max(...apart)).toBeLessThan(1000)
})

it('writes at once while nothing comes but answers to answers, and paces what streams in', async () => {
  using folder = new LogFolder()
  let whileWriting = () => undefined as unknown
  const plan = ({ method }: StorageWrite) => {
    if (method === 'enter') whileWriting()
    return undefined
  }
  await using it = await aSequencer(folder, { plan }, { paceMs: 60_000 })
  // Each writer sends its next leaf once its last one is in, without waiting for the other writers.
  const batches = new Set<number>()
  const writer = async (w: number) => {
    for (let n = 0; n < 5; n++) {
      await it.sequencer.add(event(100 * w + n), place(100 * w + n))
      batches.add(it.log.size)
    }
  }
  await Promise.all([0, 1, 2].map(writer))
  expect([...batches]).toEqual([3, 6, 9, 12, 15])
  let streamed: Promise<number> | undefined
  whileWriting = () => {
    streamed ??= it.sequencer.add(event(1001), place(1001))
  }
  expect(await it.sequencer.add(event(1000), place(1000))).toBe(15)
  const next = it.sequencer.add(event(1002), place(1002))
  expect(await Promise.race([streamed, next, after(100).then(() => 'waits')])).toBe('waits')
})

it('gathers a few leaves that come soon after others, and lets many wait for nothing', async () => {
  using folder = new LogFolder()
  let entered = 0
  const plan = ({ method }: StorageWrite) => {
    if (method === 'enter') entered++
    return undefined
  }
  await using it = await aSequencer(folder, { plan }, { paceMs: 500 })
  await it.sequencer.add(event(0), place(0))
  const began = systemClock.monotonic()
  await Promise.all(
    [1, 2, 3, 4].map(async (n) => {
      await after(4 * n)
      await it.sequencer.add(event(n), place(n))
    }),
  )
  expect([entered, systemClock.monotonic() - began < 400]).toEqual([2, true])
  const many = Array.from({ length: 64 }, (_, n) => it.sequencer.add(event(100 + n), place(100 + n)))
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  expect(entered).toBe(3)
  await Promise.all(many)
})

it('writes all that was added before it ends', async () => {
  using folder = new LogFolder()
  {
    await using it = await aSequencer(folder, { paceMs: 60_000 })
    for (let n = 0; n < 300; n++) void it.sequencer.add(event(n), place(n))
  }
  expect(await folder.check()).toMatchObject({ ok: true, size: 300 })
})

it('keeps leaves in the order in which they were added', async () => {
  using folder = new LogFolder()
  {
    await using it = await aSequencer(folder, { paceMs: 1 })
    for (let n = 0; n < 20; n++) await Promise.all([0, 1, 2].map((k) => it.sequencer.add(event(3 * n + k), place(n))))
  }
  const { entries } = await folder.check()
  expect(entries).toEqual(Array.from({ length: 60 }, (_, n) => event(n).toString()))
})

it('remembers with the tree head what of the bus it covers', async () => {
  using folder = new LogFolder()
  {
    await using it = await aSequencer(folder)
    await it.sequencer.add(event(0), { topic: 'grants.v1', partition: 2, offset: 7 })
    it.sequencer.cover({ topic: 'approvals.v1', partition: 0, offset: 3 })
    await it.sequencer.add(event(1), { topic: 'grants.v1', partition: 2, offset: 8 })
  }
  await using it = await aSequencer(folder)
  expect(it.sequencer.consumed).toEqual({ 'grants.v1': { 2: 8 }, 'approvals.v1': { 0: 3 } })
})

it('stops for good when a write fails: it answers nothing more, and notifies the process once (V13)', async () => {
  using folder = new LogFolder()
  let fatal = 0
  await using it = await aSequencer(folder, {
    plan: ({ method }) => (method === 'enter' ? 'after' : undefined),
    onFatal: () => void fatal++,
  })
  const added = [0, 1].map((n) => it.sequencer.add(event(n), place(n)))
  for (const one of await Promise.allSettled(added))
    expect(one).toMatchObject({ status: 'rejected', reason: { code: 'outcome_unknown' } })
  await expect(it.sequencer.add(event(2), place(2))).rejects.toMatchObject({ code: 'outcome_unknown' })
  expect({ fatal, failed: it.sequencer.failed }).toEqual({ fatal: 1, failed: true })
})

it('refuses more than it can hold, and takes it later', async () => {
  using folder = new LogFolder()
  await using it = await aSequencer(folder, { maxWaiting: 2 })
  const added = [0, 1].map((n) => it.sequencer.add(event(n), place(n)))
  await expect(it.sequencer.add(event(2), place(2))).rejects.toMatchObject({ code: 'queue_full' })
  expect(await it.sequencer.add(event(1), place(3))).toBe(1)
  await Promise.all(added)
  expect(await it.sequencer.add(event(2), place(2))).toBe(2)
})

it('tells when an event is in the log, or that it is not in time', async () => {
  using folder = new LogFolder()
  await using it = await aSequencer(folder)
  const waiting = it.sequencer.integrated('evt_0', 2000)
  await it.sequencer.add(event(0), place(0))
  expect(await waiting).toBe(0)
  expect(await it.sequencer.integrated('evt_0', 0)).toBe(0)
  await expect(it.sequencer.integrated('evt_9', 1)).rejects.toMatchObject({ code: 'deadline_exceeded' })
})
