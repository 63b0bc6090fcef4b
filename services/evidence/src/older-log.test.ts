import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Bus } from '@bailiwick/bus'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { topicNamed } from '@bailiwick/contracts'
import { systemClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { Installed, type Verified } from './evidence.fixture.ts'

const openBus = (installed: Installed): Promise<Bus> =>
  embeddedBus({
    dir: installed.at.bus,
    partitions: (topic) => topicNamed(topic)?.partitions ?? 1,
    retentionMs: () => undefined,
    inMemory: (topic) => topic === 'heads.v1',
    now: () => systemClock.now(),
  })

const aDenial = {
  type: 'denials.summarised' as const,
  subject: 'agent 1',
  data: {
    from: '2026-01-01T00:00:00.000Z',
    to: '2026-01-01T00:01:00.000Z',
    denials: [{ subject: 'agent 1', reason: 'credential_missing', count: 1 }],
  },
}

interface World {
  installed: Installed
  bus: Bus
  /** The log as it was before the older copy took its place. */
  newer: Verified
  /** Publishes an event, and returns its id. */
  deny: () => Promise<string>
}

/** Runs `during` with a folder of evidence that is a copy from before the log's last leaf. */
async function olderCopy(during: (world: World) => Promise<void>): Promise<void> {
  using installed = new Installed()
  await using bus = await openBus(installed)
  await using _issuer = await installed.registered(bus)
  await using pdp = await installed.participant(bus, 'policy-decision')
  const deny = async () => {
    const [event] = await pdp.producer.publish('decisions.v1', [aDenial])
    return event?.id ?? expect.fail('nothing published')
  }
  const older = join(installed.data, 'older')
  {
    await using evidence = await installed.evidence(bus)
    await evidence.integrated(await deny(), 60_000)
  }
  cpSync(installed.at.evidence, older, { recursive: true })
  {
    await using evidence = await installed.evidence(bus)
    await evidence.integrated(await deny(), 60_000)
  }
  const newer = await installed.verified()
  rmSync(installed.at.evidence, { recursive: true })
  cpSync(older, installed.at.evidence, { recursive: true })
  await during({ installed, bus, newer, deny })
}

/** The bus without announced checkpoints, as after `kafka-delete-records`, and with evidence's group at its beginning. */
const forgetful = (bus: Bus, group = (name: string) => name): Bus => ({
  publish: (topic, events) => bus.publish(topic, events),
  ends: (topic) => bus.ends(topic),
  consume: (topics, name, handler) => bus.consume(topics, group(name), handler),
  follow: (topics, since, handler) =>
    bus.follow(topics, since, (batch) => handler(batch.filter(({ topic }) => topic !== 'checkpoints.v1'))),
  [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
})

it('refuses an older copy of all of evidence: its next checkpoint would be another of a size that had one (V14)', async () => {
  await olderCopy(async ({ installed, bus, newer }) => {
    const older = await installed.verified()
    expect(older.head.size).toBeLessThan(newer.head.size)
    await expect(installed.evidence(bus)).rejects.toMatchObject({
      code: 'log_inconsistent',
      message: expect.stringContaining(`announced a checkpoint of ${newer.head.size}`),
    })
    expect(await installed.verified()).toEqual(older)
    // It does not begin again from nothing either.
    rmSync(join(installed.at.evidence, 'log'), { recursive: true })
    for (const file of ['tree-head.json', 'journal.0', 'journal.1'])
      rmSync(join(installed.at.evidence, file), { force: true })
    await expect(installed.evidence(bus)).rejects.toMatchObject({ code: 'log_inconsistent' })
  })
})

it('stops where the bus goes on behind leaves that the log lacks, though nothing was announced of them (V2)', async () => {
  await olderCopy(async ({ installed, bus, deny }) => {
    await using evidence = await installed.evidence(forgetful(bus))
    const id = await deny()
    expect(await Promise.race([evidence.fatal, evidence.integrated(id, 60_000)])).toMatchObject({
      code: 'log_inconsistent',
      message: expect.stringMatching(/lacks [a-z]+\.v1/),
    })
    expect((await installed.verified()).entries.map((entry) => JSON.parse(entry).id)).not.toContain(id)
  })
})

it('has each event once that the bus still has where its administrator let an older copy read it again (V2)', async () => {
  await olderCopy(async ({ installed, bus, newer, deny }) => {
    {
      await using evidence = await installed.evidence(forgetful(bus, (name) => `${name}-again`))
      await evidence.integrated(await deny(), 60_000)
    }
    const { entries } = await installed.verified()
    expect(new Set(entries).size).toBe(entries.length)
    expect(entries).toEqual(expect.arrayContaining(newer.entries))
  })
})

it('goes on behind what was committed and needed no leaf of its own (V2)', async () => {
  using installed = new Installed()
  await using bus = await openBus(installed)
  await using _issuer = await installed.registered(bus)
  await using pdp = await installed.participant(bus, 'policy-decision')
  const deny = async () => (await pdp.producer.publish('decisions.v1', [aDenial]))[0]?.id ?? ''
  {
    await using evidence = await installed.evidence(bus)
    await evidence.integrated(await deny(), 60_000)
  }
  const { entries } = await installed.verified()
  const again = entries.find((entry) => JSON.parse(entry).type === 'denials.summarised') ?? ''
  await bus.publish('decisions.v1', [{ key: JSON.parse(again).partitionkey, bytes: Buffer.from(again) }])
  {
    // Commits the second delivery, and has nothing else to write down.
    await using _evidence = await installed.evidence(bus)
  }
  const next = await deny()
  await using evidence = await installed.evidence(bus)
  await Promise.race([evidence.integrated(next, 60_000), evidence.fatal.then((error) => Promise.reject(error))])
})
