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
    cut: () => projection.cut(),
  })
  await keeper[Symbol.asyncDispose]()
  expect(await readOwnSnapshot(place, { owner, bus, now: time.now(), lookbackMs: 9 * 3600_000 })).toBe('too_old')
})
