import { mkdtempDisposableSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TopicName } from '@bailiwick/contracts'
import { expect, it } from 'vitest'
import { Installation, keyDraft, revocation, trust } from '../installation.fixture.ts'
import { type Owner, readOwnSnapshot, SnapshotKeeper } from './snapshots.ts'

const owner: Owner = { service: 'policy-decision', trust }

it('cuts nothing after a stop that left an event unjudged, whose key was not known yet (V7)', async () => {
  await using installation = await Installation.open()
  const { bus } = installation
  const gate = Promise.withResolvers<void>()
  let isShut = false
  const late = {
    ends: (topic: TopicName) => bus.ends(topic),
    publish: bus.publish.bind(bus),
    follow: ((topics, since, handle) =>
      bus.follow(topics, since, async (batch) => {
        if (isShut && topics[0] === 'registry.v1') await gate.promise
        await handle(batch)
      })) as typeof bus.follow,
  } as typeof bus
  const writer = await installation.reader(['revocations.v1'])
  const issuer = installation.producer(writer.projection)
  const { projection } = await installation.reader(['revocations.v1'], { bus: late })
  isShut = true
  await issuer.publish('registry.v1', [keyDraft('issuer')])
  await issuer.publish('revocations.v1', [revocation(1)])
  await new Promise((resolve) => setTimeout(resolve, 300))
  const stopped = projection[Symbol.asyncDispose]()
  await new Promise((resolve) => setTimeout(resolve, 50))
  gate.resolve()
  await stopped
  expect(projection.cut()).toBe(undefined)
})

it('refuses a snapshot of a reader whose clock was ahead when it began, since it read too little (V9)', async () => {
  await using installation = await Installation.open()
  using folder = mkdtempDisposableSync(join(tmpdir(), 'snapshots-'))
  const place = { path: join(folder.path, 'policy-decision'), key: Buffer.alloc(32, 7) }
  const { time, bus } = installation
  time.wall += 2 * 3600_000
  const { projection } = await installation.reader(['decisions.v1'])
  time.wall -= 2 * 3600_000
  const keeper = new SnapshotKeeper({
    ...place,
    owner,
    monotonic: () => performance.now(),
    marks: () => projection.marks(),
    cut: () => projection.cut(),
  })
  await keeper[Symbol.asyncDispose]()
  expect(await readOwnSnapshot(place, { owner, bus, now: time.now(), lookbackMs: 9 * 3600_000 })).toBe('too_old')
})

it('refuses a snapshot of a reader that forgot what still lived, because its clock was ahead for a moment (V9)', async () => {
  await using installation = await Installation.open()
  using folder = mkdtempDisposableSync(join(tmpdir(), 'snapshots-'))
  const place = { path: join(folder.path, 'policy-decision'), key: Buffer.alloc(32, 7) }
  const { time, bus } = installation
  const lookbackMs = 9 * 3600_000
  const keep = async ({ projection }: Awaited<ReturnType<Installation['reader']>>) => {
    const keeper = new SnapshotKeeper({
      ...place,
      owner,
      monotonic: () => performance.now(),
      marks: () => projection.marks(),
      cut: () => projection.cut(),
    })
    await keeper[Symbol.asyncDispose]()
  }
  const read = () => readOwnSnapshot(place, { owner, bus, now: time.now(), lookbackMs })
  const reader = await installation.reader(['decisions.v1'])
  reader.projection.ledger.forgetEndedBefore(time.now() - 3600_000)
  await keep(reader)
  const sound = await read()
  expect(sound).toBeTypeOf('object')
  reader.projection.ledger.forgetEndedBefore(time.now() + 3600_000)
  await keep(reader)
  expect(await read()).toBe('too_old')
  // The next reader of that state would forget nothing more, and its snapshots are as incomplete.
  if (typeof sound === 'string') throw new Error(sound)
  const from = { ...sound, forgottenUpTo: time.now() + 3600_000 }
  await keep(await installation.reader(['decisions.v1'], { from }))
  expect(await read()).toBe('too_old')
  // Once all that could have been forgotten has ended, nothing is missing.
  time.wall += 3600_001
  await keep(reader)
  expect(await read()).toBeTypeOf('object')
})
