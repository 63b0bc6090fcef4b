import type { Bus } from '@bailiwick/bus'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { topicNamed } from '@bailiwick/contracts'
import { systemClock } from '@bailiwick/service-kit'
import { expect, it } from 'vitest'
import { Installed } from './evidence.fixture.ts'

const openBus = (installed: Installed): Promise<Bus> =>
  embeddedBus({
    dir: installed.at.bus,
    partitions: (topic) => topicNamed(topic)?.partitions ?? 1,
    retentionMs: () => undefined,
    inMemory: (topic) => topic === 'heads.v1',
    now: () => systemClock.now(),
  })

const aDenial = (n: number) => ({
  type: 'denials.summarised' as const,
  subject: `agent ${n}`,
  data: {
    from: '2026-01-01T00:00:00.000Z',
    to: '2026-01-01T00:01:00.000Z',
    denials: [{ subject: `agent ${n}`, reason: 'credential_missing', count: n + 1 }],
  },
})

const idsOf = (entries: readonly string[]) => entries.map((entry) => JSON.parse(entry).id as string)

it('makes one leaf of each event, under a signed checkpoint, and goes on where it was after a restart (V2, V14)', async () => {
  using installed = new Installed()
  await using bus = await openBus(installed)
  await using _issuer = await installed.registered(bus)
  await using pdp = await installed.participant(bus, 'policy-decision')
  const first = await pdp.producer.publish('decisions.v1', [0, 1, 2].map(aDenial))
  {
    await using evidence = await installed.evidence(bus)
    for (const { id } of first) await evidence.integrated(id, 2000)
  }
  const before = await installed.verified()
  const second = await pdp.producer.publish('decisions.v1', [3, 4].map(aDenial))
  {
    await using evidence = await installed.evidence(bus)
    for (const { id } of second) await evidence.integrated(id, 2000)
    expect(evidence.size()).toBe(before.head.size + 2)
  }
  const { entries } = await installed.verified()
  expect(entries.slice(0, before.head.size)).toEqual(before.entries)
  const ids = idsOf(entries)
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids).toEqual(expect.arrayContaining([...first, ...second].map(({ id }) => id)))
})
