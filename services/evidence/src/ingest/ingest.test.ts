import type { Bus, Handled, Message } from '@bailiwick/bus'
import { eventText, exampleEvent } from '@bailiwick/contracts/examples'
import { sha256 } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Voice } from '@bailiwick/instance'
import { expect, it } from 'vitest'
import type { Place } from '../log/sequencer.ts'
import { startIngest } from './ingest.ts'
import { aMessage, having } from './messages.fixture.ts'
import { leafTopics } from './topics.ts'

type Publish = (topic: string, drafts: readonly { type: string; subject: string; data: object }[]) => Promise<unknown>

/** A decision's event as its service wrote it; `n` tells one from another. */
function aDecision(n: number, type = 'denials.summarised'): Message {
  const event = exampleEvent('decisions.v1', type)
  const text = eventText({ ...event, id: `${event.id.slice(0, -2)}${10 + n}` })
  return aMessage(n, text, { key: event.partitionkey })
}

function aRegistryChange(n: number): Message {
  const event = exampleEvent('registry.v1', 'agent.registered')
  return aMessage(n, eventText(event), { topic: 'registry.v1', key: event.partitionkey })
}

/** Evidence's reader of the bus, with a bus, a log and a registry that the test controls. */
async function anIngest({ onTheBus = [] as Message[], consumed = {} } = {}) {
  const seen: string[] = []
  const published: { topic: string; type: string; subject: string; data: object }[] = []
  const world = {
    seen,
    published,
    isSigned: true,
    fault: 'signature_invalid',
    registry: (): void => undefined,
    stands: true,
    add: async (_: Place): Promise<number> => 0,
    inTheLog: new Set<string>(),
    isTold: (_: string): boolean => false,
    publish: (async (topic, drafts) => {
      for (const { type, subject, data } of drafts) published.push({ topic, type, subject, data })
    }) as Publish,
    fatal: [] as unknown[],
    take: (_: readonly Message[]): Promise<readonly Handled[]> => expect.fail('nothing is consumed'),
    waitedFor: [] as number[],
  }
  const participant = {
    keyRing: {
      verifyEvent: (_: Uint8Array, topic: string) =>
        world.isSigned
          ? { ok: true, value: { key: { service: topic === 'registry.v1' ? 'issuer' : 'policy-decision' } } }
          : { ok: false, code: world.fault, detail: '' },
    },
    projection: {
      waitFor: async ({ offset }: { offset: number }) => {
        world.waitedFor.push(offset)
        world.registry()
      },
      ledger: { registry: { stands: () => world.stands } },
    },
    producer: { publish: (...args: Parameters<Publish>) => world.publish(...args) },
  } as unknown as Voice
  const bus = {
    ...having(onTheBus),
    ends: async () => [7],
    consume: async (topics, group, handler) => {
      seen.push(`consumes ${topics.length} topics as ${group}`)
      world.take = handler
      return { refused: new Map(), [Symbol.asyncDispose]: async () => undefined }
    },
  } as Pick<Bus, 'consume' | 'follow' | 'ends'> as Bus
  await startIngest({
    bus,
    participant,
    sequencer: {
      consumed,
      has: (bytes: Uint8Array) => world.inTheLog.has(Buffer.from(bytes).toString()),
      add: async (_: Uint8Array, place: Place) => {
        const index = await world.add(place)
        seen.push(`leaf ${place.offset}`)
        return index
      },
      cover: ({ offset }: Place) => seen.push(`covers ${offset}`),
    } as unknown as Parameters<typeof startIngest>[0]['sequencer'],
    index: { isTold: (id) => world.isTold(id) },
    onParked: (topic) => seen.push(`parked of ${topic}`),
    onRefused: (type) => seen.push(`refused ${type}`),
    onOutcomeRefused: async (jws) => void seen.push(`outcome ${jws}`),
    onFatal: (error) => world.fatal.push(error),
  })
  return world
}

it('reads every leaf topic in the group of evidence', async () => {
  expect((await anIngest()).seen).toEqual([`consumes ${leafTopics.length} topics as evidence`])
})

it('is done with a message once its leaf has its place (V2)', async () => {
  const world = await anIngest()
  const entered = Promise.withResolvers<number>()
  world.add = () => entered.promise
  const taking = world.take([aDecision(0), aDecision(1)])
  expect(await Promise.race([taking, new Promise((resolve) => setImmediate(resolve))])).toBeUndefined()
  entered.resolve(3)
  expect(await taking).toEqual(['done', 'done'])
  expect(world.seen.slice(1)).toEqual(['leaf 0', 'leaf 1'])
  expect(world.published).toEqual([])
})

it('parks an unreadable message by its place, hash and size, and covers its place (V17)', async () => {
  const world = await anIngest()
  expect(await world.take([aMessage(0, 'secret', { key: 'secret' }), aDecision(1)])).toEqual(['done', 'done'])
  expect(world.seen.slice(1).toSorted()).toEqual(['covers 0', 'leaf 1', 'parked of decisions.v1'])
  const place = { topic: 'decisions.v1', partition: 0, offset: 0 }
  const bytes = { sha256: sha256(Buffer.from('secret')), size: 6 }
  expect(world.published).toEqual([
    {
      topic: 'decisions.v1.parked',
      type: 'event.parked',
      subject: 'decisions.v1/0/0',
      data: { ...place, ...bytes, code: expect.any(String) },
    },
  ])
  expect(JSON.stringify(world.published)).not.toContain('secret')
})

it('tells of a forged event besides, under its own id (V12)', async () => {
  const world = await anIngest()
  world.isSigned = false
  const forged = aDecision(4)
  expect(await world.take([forged])).toEqual(['done'])
  const code = 'signature_invalid'
  expect(world.published.map(({ topic, type }) => `${topic} ${type}`)).toEqual([
    'decisions.v1.parked event.parked',
    'findings.v1 event.refused',
  ])
  const data = {
    topic: 'decisions.v1',
    event_id: expect.stringMatching(/^evt_.*14$/),
    sha256: sha256(forged.bytes),
    code,
  }
  expect(world.published[1]).toMatchObject({ subject: 'decisions.v1/0/4', data })
})

it('reports an unreadable message of its own topic, which has no parked topic', async () => {
  const world = await anIngest()
  const message = aMessage(2, 'junk', { topic: 'findings.v1', partition: 3 })
  expect(await world.take([message])).toEqual(['done'])
  expect(world.published).toMatchObject([
    {
      topic: 'findings.v1',
      type: 'event.refused',
      subject: 'findings.v1/3/2',
      data: { topic: 'findings.v1', event_id: 'findings.v1/3/2', sha256: sha256(message.bytes) },
    },
  ])
})

it('tells of a message once, however often it is delivered, also before this start (V2)', async () => {
  const world = await anIngest()
  await world.take([aMessage(0, 'junk')])
  expect(await world.take([aMessage(0, 'junk')])).toEqual(['done'])
  world.isTold = (id) => id === 'decisions.v1/0/1'
  expect(await world.take([aMessage(1, 'junk')])).toEqual(['done'])
  expect(world.published.map(({ subject }) => subject)).toEqual(['decisions.v1/0/0'])
  expect(world.seen.slice(1)).toEqual(['parked of decisions.v1', 'covers 0', 'covers 0', 'covers 1'])
})

it('remembers the 10,000 messages that it told of last', async () => {
  const world = await anIngest()
  const junk = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => aMessage(from + n, 'junk'))
  await world.take(junk(0, 10_001))
  await world.take([...junk(1, 2), ...junk(10_000, 10_001)])
  expect(world.published).toHaveLength(10_001)
  await world.take(junk(0, 1))
  expect(world.published).toHaveLength(10_002)
})

it('logs an unauthorised change of the registry as a leaf, and reports it once (V3)', async () => {
  const world = await anIngest()
  const change = aRegistryChange(5)
  expect(await world.take([change])).toEqual(['done'])
  expect(world.published).toEqual([])
  world.stands = false
  for (let n = 0; n < 2; n++) expect(await world.take([change])).toEqual(['done'])
  expect(world.seen.slice(1)).toEqual(['leaf 5', 'refused agent.registered', 'leaf 5', 'leaf 5'])
  expect(world.published).toMatchObject([
    { topic: 'findings.v1', type: 'event.refused', data: { topic: 'registry.v1', code: 'registry_change_refused' } },
  ])
})

it('hands over what the decision point did not take, once its leaf has its place', async () => {
  const world = await anIngest()
  expect(await world.take([aDecision(0, 'outcome.refused')])).toEqual(['done'])
  const { outcome } = exampleEvent('decisions.v1', 'outcome.refused').data as { outcome: string }
  expect(world.seen.slice(1)).toEqual(['leaf 0', `outcome ${outcome}`])
})

it('has a message delivered again for which the log has no room', async () => {
  const world = await anIngest()
  world.add = async ({ offset }) => (offset === 1 ? Promise.reject(new ServiceError('queue_full', 'leaves')) : offset)
  expect(await world.take([aDecision(0), aDecision(1)])).toEqual(['done', { again: 200 }])
})

it('has all delivered again from the message on whose key cannot be looked up', async () => {
  const world = await anIngest()
  world.registry = () => {
    throw new ServiceError('deadline_exceeded')
  }
  const messages = [aDecision(0), aRegistryChange(1), aDecision(2)]
  expect(await world.take(messages)).toEqual(['done', { again: 200 }, { again: 200 }])
  expect(world.seen.slice(1)).toEqual(['leaf 0'])
  expect(world.waitedFor).toEqual([1])
})

it('takes nothing where the log cannot be written, and leaves it to the log to end the process', async () => {
  const world = await anIngest()
  world.add = () => Promise.reject(new ServiceError('outcome_unknown'))
  await expect(world.take([aDecision(0)])).rejects.toMatchObject({ code: 'outcome_unknown' })
  expect(world.fatal).toEqual([])
})

it('takes nothing where the registry cannot be read for good', async () => {
  const world = await anIngest()
  world.registry = () => {
    throw new ServiceError('bus_unavailable')
  }
  await expect(world.take([aRegistryChange(0)])).rejects.toMatchObject({ code: 'bus_unavailable' })
})

it('ends the process where the bus goes on behind leaves that the log lacks, and takes nothing (V2)', async () => {
  const world = await anIngest({ onTheBus: [aDecision(0), aDecision(1)], consumed: {} })
  for (let n = 0; n < 2; n++)
    await expect(world.take([aDecision(1)])).rejects.toMatchObject({ code: 'log_inconsistent' })
  expect(world.fatal).toMatchObject([{ code: 'log_inconsistent' }, { code: 'log_inconsistent' }])
  expect(world.seen).toHaveLength(1)
})

it('looks where a partition begins at its first message alone (V2)', async () => {
  const first = aDecision(0)
  const world = await anIngest({ onTheBus: [first, aMessage(1, 'event', { key: 'k' })] })
  world.inTheLog.add(Buffer.from(first.bytes).toString())
  expect(await world.take([aDecision(1)])).toEqual(['done'])
  world.inTheLog.clear()
  expect(await world.take([aDecision(2)])).toEqual(['done'])
})

it('looks where each partition begins (V2)', async () => {
  const lacking = { ...aDecision(1), partition: 1 }
  const world = await anIngest({ onTheBus: [lacking], consumed: { 'decisions.v1': { 0: 0 } } })
  expect(await world.take([aDecision(1)])).toEqual(['done'])
  await expect(world.take([{ ...lacking, offset: 2 }])).rejects.toMatchObject({ code: 'log_inconsistent' })
})

it('takes nothing of nothing', async () => {
  expect(await (await anIngest()).take([])).toEqual([])
})

it('reads the registry to its end before it calls a key unknown', async () => {
  const world = await anIngest()
  world.isSigned = false
  world.fault = 'key_unknown'
  await world.take([aDecision(0)])
  expect(world.waitedFor).toEqual([6])
})

it('does not take a registry that cannot be read for a log that lacks leaves', async () => {
  const world = await anIngest({ onTheBus: [aRegistryChange(0)] })
  world.registry = () => {
    throw new ServiceError('deadline_exceeded')
  }
  await expect(world.take([aRegistryChange(1)])).rejects.toMatchObject({ code: 'deadline_exceeded' })
  expect(world.fatal).toEqual([])
})

it('is not done with a message before what stands for it is on the bus, and tells of it once (V2)', async () => {
  const world = await anIngest()
  const { publish } = world
  let refusals = 2
  world.publish = async (...args) => {
    if (refusals-- > 0) throw new ServiceError('bus_unavailable')
    return publish(...args)
  }
  for (let n = 0; n < 2; n++) {
    await expect(world.take([aMessage(0, 'junk')])).rejects.toMatchObject({ code: 'bus_unavailable' })
    expect(world.seen).toHaveLength(1)
  }
  for (let n = 0; n < 2; n++) expect(await world.take([aMessage(0, 'junk')])).toEqual(['done'])
  expect(world.published).toMatchObject([{ subject: 'decisions.v1/0/0' }])
})
