import { expect, it } from 'vitest'
import type { Bus, Handled, Message } from './bus.ts'
import { type Break, faultyBus } from './faulty-bus.ts'

type Deliver = (topic: string, ...texts: string[]) => Promise<unknown>

/** A bus that keeps nothing, and delivers the messages that the test gives it. */
function bareBus() {
  const published: string[] = []
  const readers: [string, (batch: readonly Message[]) => Promise<unknown>][] = []
  const subscription = (topics: readonly string[], handler: (batch: readonly Message[]) => Promise<unknown>) => {
    for (const topic of topics) readers.push([topic, handler])
    return {
      refused: new Map<string, number>(),
      caughtUp: Promise.resolve(),
      failed: new Promise<never>(() => {}),
      [Symbol.asyncDispose]: async () => {},
    }
  }
  const bus: Bus = {
    publish: async (topic, events) => {
      published.push(topic)
      return events.map((_, offset) => ({ topic, partition: 0, offset }))
    },
    consume: async (topics, _, handler) => subscription(topics, handler),
    follow: async (topics, _, handler) => subscription(topics, handler),
    ends: async () => [0],
    [Symbol.asyncDispose]: async () => {},
  }
  const deliver: Deliver = (topic, ...texts) => {
    const batch = texts.map((key, offset) => {
      return { topic, key, partition: 0, offset, timestamp: 0, bytes: new Uint8Array() }
    })
    return Promise.all(readers.filter(([one]) => one === topic).map(([, handler]) => handler(batch)))
  }
  return { bus, published, deliver }
}

it.each<[Break, string[]]>([
  ['before', ['b', 'a']],
  ['after', ['a', 'b', 'a']],
])('breaks a publish %s its effect, counting the calls of each topic', async (where, expected) => {
  const { bus, published } = bareBus()
  const faulty = faultyBus(bus, ({ method, topic, n }) => {
    return method === 'publish' && topic === 'a' && n === 0 ? where : undefined
  })
  const event = [{ key: '', bytes: new Uint8Array() }]
  await expect(faulty.publish('a', event)).rejects.toMatchObject({ code: 'outcome_unknown' })
  await faulty.publish('b', event)
  expect(await faulty.publish('a', event)).toHaveLength(1)
  expect(published).toEqual(expected)
})

it.each<[Break, number]>([
  ['before', 0],
  ['after', 1],
])('breaks a delivery to a consumer %s it is handled, so that it comes again', async (where, handled) => {
  const { bus, deliver } = bareBus()
  const faulty = faultyBus(bus, ({ n }) => (n === 0 ? where : undefined))
  let calls = 0
  await faulty.consume(['a'], 'group', async (batch) => {
    calls += 1
    return batch.map((): Handled => 'done')
  })
  expect(await deliver('a', 'x', 'y')).toEqual([[{ again: 0 }, { again: 0 }]])
  expect(calls).toBe(handled)
  expect(await deliver('a', 'x', 'y')).toEqual([['done', 'done']])
})

it('breaks what has no effect with bus_unavailable', async () => {
  const { bus } = bareBus()
  const faulty = faultyBus(bus, ({ n }) => (n === 0 ? 'before' : undefined))
  await expect(faulty.ends('a')).rejects.toMatchObject({ code: 'bus_unavailable' })
  expect(await faulty.ends('a')).toEqual([0])
  await expect(faulty.follow(['a'], 'start', async () => {})).rejects.toMatchObject({ code: 'bus_unavailable' })
  await faulty.follow(['a'], 'start', async () => {})
})

it('holds one topic back while the others flow, and lets it go in order', async () => {
  const { bus, deliver } = bareBus()
  const faulty = faultyBus(bus, () => undefined)
  const followed: string[] = []
  const consumed: string[] = []
  await faulty.follow(['a', 'b'], 'start', async (batch) => void followed.push(...batch.map(({ key }) => key)))
  await faulty.consume(['a', 'b'], 'group', async (batch) => {
    consumed.push(...batch.map(({ key }) => key))
    return batch.map((): Handled => 'done')
  })
  faulty.hold('a')
  const held = deliver('a', 'a1', 'a2')
  await deliver('b', 'b1')
  expect([followed, consumed]).toEqual([['b1'], ['b1']])
  faulty.release('a')
  await held
  await deliver('a', 'a3')
  expect(followed).toEqual(['b1', 'a1', 'a2', 'a3'])
  expect(consumed).toEqual(['b1', 'a1', 'a2', 'a3'])
})

it('gives a follower of several topics one call at a time', async () => {
  const { bus, deliver } = bareBus()
  const faulty = faultyBus(bus, () => undefined)
  let running = 0
  let most = 0
  await faulty.follow(['a', 'b'], 'start', async () => {
    running += 1
    most = Math.max(most, running)
    await new Promise((resolve) => setImmediate(resolve))
    running -= 1
  })
  await Promise.all([deliver('a', '1'), deliver('b', '2'), deliver('a', '3')])
  expect(most).toBe(1)
})

it('does not hand a reader that ends while it is held what it was held for', async () => {
  const { bus, deliver } = bareBus()
  const faulty = faultyBus(bus, () => undefined)
  let calls = 0
  const follower = await faulty.follow(['a'], 'start', async () => {
    calls += 1
  })
  const consumer = await faulty.consume(['b'], 'group', async (batch) => {
    calls += 1
    return batch.map((): Handled => 'done')
  })
  faulty.hold('a')
  faulty.hold('b')
  const followed = expect(deliver('a', '1')).rejects.toMatchObject({ code: 'bus_unavailable' })
  const consumed = deliver('b', '1')
  await follower[Symbol.asyncDispose]()
  await consumer[Symbol.asyncDispose]()
  await followed
  expect(await consumed).toEqual([[{ again: 0 }]])
  expect(calls).toBe(0)
})
