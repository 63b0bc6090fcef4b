import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Message } from '../bus.ts'
import {
  event,
  freshName,
  inOrder,
  numbered,
  type OpenBus,
  place,
  readAll,
  TEST,
  text,
  until,
  withTopic,
} from './under-test.ts'

/** The guarantees of `follow`. */
export function followContract(name: string, open: OpenBus): void {
  describe(`${name}: follow`, () => {
    it('gives every follower everything from the start, and then what comes', TEST, async () => {
      await using under = await withTopic(open)
      const { bus, topic } = under
      await bus.publish(topic, numbered(50))
      const early: Message[] = []
      const late: Message[] = []
      await using first = await bus.follow([topic], 'start', async (batch) => void early.push(...batch))
      await first.caughtUp
      expect(early).toHaveLength(50)
      await bus.publish(topic, numbered(50, 50))
      await using second = await bus.follow([topic], 'start', async (batch) => void late.push(...batch))
      await second.caughtUp
      expect(late).toHaveLength(100)
      await until(() => early.length === 100)
      await bus.publish(topic, numbered(1, 100))
      await until(() => early.length === 101 && late.length === 101)
      for (const read of [early, late]) expect(inOrder(read)).toBe(true)
    })

    it('is caught up at once where there is nothing, and follows several topics', TEST, async () => {
      const specs = ['a', 'b'].map(() => ({ name: freshName(), partitions: 2 }))
      const [a = '', b = ''] = specs.map((spec) => spec.name)
      await using under = await open(specs)
      const read: Message[] = []
      await using follower = await under.bus.follow([a, b], 'start', async (batch) => void read.push(...batch))
      await follower.caughtUp
      await Promise.all([under.bus.publish(a, numbered(20)), under.bus.publish(b, numbered(30))])
      await until(() => read.length === 50)
      expect(read.filter(({ topic }) => topic === a)).toHaveLength(20)
    })

    it('starts each partition at its first message at or after a time', TEST, async () => {
      await using under = await withTopic(open)
      const { bus, topic } = under
      const all: Message[] = []
      await using follower = await bus.follow([topic], 'start', async (batch) => void all.push(...batch))
      await follower.caughtUp
      // Until several timestamps have messages in several partitions. How long that takes depends on the bus's clock.
      await until(async () => {
        await bus.publish(topic, numbered(6, all.length))
        return new Set(all.map(({ timestamp }) => timestamp)).size >= 5
      })
      const published = (await bus.ends(topic)).reduce((sum, end) => sum + end, 0)
      await until(() => all.length === published)
      for (let partition = 0; partition < 3; partition += 1) {
        const own = all.filter((message) => message.partition === partition).map(({ timestamp }) => timestamp)
        expect(own).toEqual(own.toSorted((a, b) => a - b))
      }
      const times = [...new Set(all.map(({ timestamp }) => timestamp))].toSorted((a, b) => a - b)
      for (const time of [0, times[2] ?? 0, (times[2] ?? 0) + 1, times.at(-1) ?? 0]) {
        const wanted = all.filter(({ timestamp }) => timestamp >= time).map(place)
        const got: string[] = []
        await using late = await bus.follow([topic], { time }, async (batch) => void got.push(...batch.map(place)))
        await late.caughtUp
        expect(new Set(got)).toEqual(new Set(wanted))
      }
    })

    it('gives what comes next to a follower from a time that nothing has reached', TEST, async () => {
      await using under = await withTopic(open)
      const { bus, topic } = under
      await bus.publish(topic, numbered(10))
      const [last] = (await readAll(bus, topic, 10)).map(({ timestamp }) => timestamp).toSorted((a, b) => b - a)
      const read: Message[] = []
      const since = { time: (last ?? 0) + 3_600_000 }
      await using follower = await bus.follow([topic], since, async (batch) => void read.push(...batch))
      await follower.caughtUp
      await bus.publish(topic, [event('new', 'new')])
      await until(() => read.length > 0)
      expect(read.map(text)).toEqual(['new'])
    })

    it('begins with the last message of what ended before the time, if asked', TEST, async () => {
      await using under = await withTopic(open)
      const { bus, topic } = under
      await bus.publish(topic, [event('one', '1'), event('one', '2')])
      const [written] = await readAll(bus, topic, 2)
      const read: string[] = []
      const since = { time: (written?.timestamp ?? 0) + 3_600_000, orLast: true } as const
      await using follower = await bus.follow([topic], since, async (batch) => void read.push(...batch.map(text)))
      await follower.caughtUp
      expect(read).toEqual(['2'])
      await bus.publish(topic, numbered(20))
      await until(() => read.length === 21)
      const whole: string[] = []
      const begin = { time: 0, orLast: true } as const
      await using all = await bus.follow([topic], begin, async (batch) => void whole.push(...batch.map(text)))
      await all.caughtUp
      expect(whole).toHaveLength(22)
    })

    it('starts a partition at the offset that it is given, and the others at the time', TEST, async () => {
      await using under = await withTopic(open)
      const { bus, topic } = under
      await bus.publish(topic, numbered(60))
      const all = await readAll(bus, topic, 60)
      const ends = await bus.ends(topic)
      const from = async (offsets: (number | undefined)[], time = 0) => {
        const read: Message[] = []
        const since = { time, offsets: { [topic]: offsets } }
        const follower = await bus.follow([topic], since, async (batch) => void read.push(...batch))
        await follower.caughtUp
        await follower[Symbol.asyncDispose]()
        return new Set(read.map(place))
      }
      const wanted = (starts: readonly number[]) =>
        new Set(all.filter(({ partition, offset }) => offset >= (starts[partition] ?? 0)).map(place))
      const [, b = 0, c = 0] = ends
      expect(await from([0, b - 1, c])).toEqual(wanted([0, b - 1, c]))
      expect(await from([2, undefined, 1])).toEqual(wanted([2, 0, 1]))
      expect(await from([1])).toEqual(wanted([1, 0, 0]))
      const never = (all.at(-1)?.timestamp ?? 0) + 3_600_000
      expect(await from([3], never)).toEqual(wanted([3, b, c]))
    })

    it('starts at the end of a partition that is shorter than the offset, and reads what comes', TEST, async () => {
      await using under = await withTopic(open, 1)
      const { bus, topic } = under
      await bus.publish(topic, numbered(5))
      const read: string[] = []
      const since = { time: 0, offsets: { [topic]: [1000] } }
      await using follower = await bus.follow([topic], since, async (batch) => void read.push(...batch.map(text)))
      await follower.caughtUp
      await bus.publish(topic, [event('new', 'new')])
      await until(() => read.length > 0)
      expect(read).toEqual(['new'])
    })

    it('makes one call at a time, and never a call after it was disposed of', TEST, async () => {
      await using under = await withTopic(open)
      const { bus, topic } = under
      let running = 0
      let most = 0
      let calls = 0
      const follower = await bus.follow([topic], 'start', async () => {
        running += 1
        calls += 1
        most = Math.max(most, running)
        await sleep(2)
        running -= 1
      })
      let sent = 0
      await until(async () => {
        await bus.publish(topic, numbered(1, sent))
        sent += 1
        return calls > 3
      })
      await follower[Symbol.asyncDispose]()
      expect(running).toBe(0)
      const before = calls
      await bus.publish(topic, numbered(10, sent))
      await readAll(bus, topic, sent + 10)
      expect(calls).toBe(before)
      expect(most).toBe(1)
    })

    it('fails when its handler throws, and skips nothing (V13)', TEST, async () => {
      await using under = await withTopic(open, 1)
      const { bus, topic } = under
      const read: string[] = []
      const follower = await bus.follow([topic], 'start', async (batch) => {
        for (const message of batch) {
          if (text(message) === 'text-3') throw new Error('cannot fold')
          read.push(text(message))
        }
      })
      const failed = expect(follower.failed).rejects.toThrow('cannot fold')
      for (const one of numbered(6)) await bus.publish(topic, [one])
      await failed
      await readAll(bus, topic, 6)
      expect(read).toEqual(['text-0', 'text-1', 'text-2'])
      await follower[Symbol.asyncDispose]()
    })

    it('is not caught up while its handler has not handled what there was', TEST, async () => {
      await using under = await withTopic(open, 1)
      const { bus, topic } = under
      await bus.publish(topic, numbered(3))
      const gate = Promise.withResolvers<void>()
      const entered = Promise.withResolvers<void>()
      let caughtUp = false
      await using follower = await bus.follow([topic], 'start', async () => {
        entered.resolve()
        await gate.promise
      })
      follower.caughtUp.then(() => {
        caughtUp = true
      })
      await entered.promise
      expect(caughtUp).toBe(false)
      gate.resolve()
      await follower.caughtUp
    })
  })
}
