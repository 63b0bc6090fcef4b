import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Handled, Message } from '../bus.ts'
import { eachMessage } from '../each-message.ts'
import {
  type BusUnderTest,
  consumeAll,
  distinct,
  event,
  inOrder,
  numbered,
  type OpenBus,
  TEST,
  text,
  until,
  withTopic,
} from './under-test.ts'

/** The guarantees of `consume`. */
export function consumeContract(name: string, open: OpenBus): void {
  describe(`${name}: consume`, () => {
    it(
      'shares the partitions in a group, one call a partition at a time, and gives each group everything',
      TEST,
      async () => {
        await using under = await withTopic(open, 4)
        const { bus, topic } = under
        const seen: Message[][] = [[], [], []]
        const busy = new Set<string>()
        let overlapped = false
        const handler = (member: number, group: string) => async (batch: readonly Message[]) => {
          const lane = `${group}/${batch[0]?.partition}`
          overlapped ||= busy.has(lane) || new Set(batch.map(({ partition }) => partition)).size > 1
          busy.add(lane)
          await sleep(1)
          seen[member]?.push(...batch)
          busy.delete(lane)
          return batch.map((): Handled => 'done')
        }
        await using _a = await bus.consume([topic], 'shared', handler(0, 'shared'))
        await using _b = await bus.consume([topic], 'shared', handler(1, 'shared'))
        await using _c = await bus.consume([topic], 'alone', handler(2, 'alone'))
        let sent = 0
        await until(async () => {
          await bus.publish(topic, numbered(20, sent))
          sent += 20
          return seen.every((messages) => messages.length > 0)
        })
        const [a = [], b = [], c = []] = seen
        await until(() => distinct([...a, ...b]) === sent && distinct(c) === sent)
        expect(overlapped).toBe(false)
        expect(inOrder(c)).toBe(true)
      },
    )

    it('hands the partitions of a member that left to the others', TEST, async () => {
      await using under = await withTopic(open, 4)
      const { bus, topic } = under
      const seen: Message[][] = [[], []]
      const handler = (member: number) => async (batch: readonly Message[]) => {
        seen[member]?.push(...batch)
        return batch.map((): Handled => 'done')
      }
      await using _a = await bus.consume([topic], 'group', handler(0))
      const b = await bus.consume([topic], 'group', handler(1))
      let sent = 0
      await until(async () => {
        await bus.publish(topic, numbered(10, sent))
        sent += 10
        return seen.every((messages) => messages.length > 0)
      })
      await b[Symbol.asyncDispose]()
      const left = seen[1]?.length
      await bus.publish(topic, numbered(40, sent))
      await until(() => distinct(seen.flat()) === sent + 40)
      expect(seen[1]).toHaveLength(left ?? -1)
    })

    it('waits for the call in flight when a member leaves, and commits what it handled', TEST, async () => {
      await using under = await withTopic(open, 1)
      const { bus, topic } = under
      await bus.publish(topic, numbered(1))
      const entered = Promise.withResolvers<void>()
      let handled = false
      const consumer = await bus.consume([topic], 'group', async (batch) => {
        entered.resolve()
        await sleep(30)
        handled = true
        return batch.map((): Handled => 'done')
      })
      await entered.promise
      await consumer[Symbol.asyncDispose]()
      expect(handled).toBe(true)
      expect(await committedAfter(under, topic, 1)).toBe(true)
    })

    it('goes on after what was handled when it is opened again', TEST, async () => {
      await using under = await withTopic(open)
      const { topic } = under
      await under.bus.publish(topic, numbered(30))
      const before = await consumeAll(under.bus, topic, 'group', 30)
      expect(distinct(before)).toBe(30)
      const bus = await under.reopen()
      await bus.publish(topic, numbered(5, 30))
      const after = await consumeAll(bus, topic, 'group', 5)
      expect(after.map(text).toSorted()).toEqual(['text-30', 'text-31', 'text-32', 'text-33', 'text-34'])
    })

    it('delivers again what a process had not answered for when it was killed', TEST, async () => {
      await using under = await withTopic(open, 1)
      const { topic } = under
      await under.bus.publish(topic, numbered(10))
      const first = await under.killed({ does: 'consume', topic, group: 'group' }, 1)
      expect(first[0]).toBe('text-0')
      const again = await consumeAll(await under.reopen(), topic, 'group', 10)
      expect(new Set(again.map(text))).toEqual(new Set(numbered(10).map(text)))
    })

    it(
      'delivers again after a while what was answered with again, and nothing of its partition meanwhile',
      TEST,
      async () => {
        await using under = await withTopic(open, 1)
        const { bus, topic } = under
        const delivered: string[] = []
        const answered: string[] = []
        let refusals = 3
        await using _ = await bus.consume([topic], 'group', async (batch) => {
          return batch.map((message): Handled => {
            delivered.push(text(message))
            if (text(message) === 'text-4' && refusals-- > 0) return { again: 30 }
            answered.push(text(message))
            return 'done'
          })
        })
        for (const one of numbered(8)) await bus.publish(topic, [one])
        await until(() => answered.includes('text-7') && refusals < 0)
        // The messages behind it in its batch were delivered once more, after it. None before it were.
        const order = delivered.filter((one, n) => delivered.indexOf(one) === n)
        expect(order).toEqual(numbered(8).map(text))
        expect(delivered.filter((one) => one === 'text-4')).toHaveLength(4)
        expect(delivered.filter((one) => one < 'text-4')).toHaveLength(4)
        expect(delivered.slice(delivered.lastIndexOf('text-4'))).toEqual(['text-4', 'text-5', 'text-6', 'text-7'])
      },
    )

    it('delivers again a batch whose handler threw or did not answer for each message', TEST, async () => {
      await using under = await withTopic(open, 1)
      const { bus, topic } = under
      await bus.publish(topic, numbered(5))
      const calls: number[] = []
      await using _ = await bus.consume([topic], 'group', async (batch) => {
        calls.push(batch[0]?.offset ?? -1)
        if (calls.length === 1) throw new Error('not now')
        return calls.length === 2 ? [] : batch.map((): Handled => 'done')
      })
      await until(() => calls.length >= 3)
      expect(calls.slice(0, 3)).toEqual([0, 0, 0])
      expect(await committedAfter(under, topic, 5)).toBe(true)
    })

    it('counts a poison message that was refused, and the rest flows', TEST, async () => {
      await using under = await withTopic(open, 1)
      const { bus, topic } = under
      const done: string[] = []
      const consumer = await bus.consume(
        [topic],
        'group',
        eachMessage(async (message) => {
          if (text(message) === 'text-2') return 'refused'
          done.push(text(message))
          return 'done'
        }),
      )
      await bus.publish(topic, numbered(6))
      await until(() => done.includes('text-5') && consumer.refused.get(topic) === 1)
      expect(new Set(done)).toEqual(new Set(['text-0', 'text-1', 'text-3', 'text-4', 'text-5']))
      await consumer[Symbol.asyncDispose]()
      expect(await committedAfter(under, topic, 6)).toBe(true)
    })
  })
}

/** Whether the group `group` has committed the first `count` messages: then a new member gets only later ones. */
async function committedAfter(under: BusUnderTest, topic: string, count: number): Promise<boolean> {
  const bus = await under.reopen()
  await bus.publish(topic, [event('next', 'next')])
  const read = await consumeAll(bus, topic, 'group', 1)
  return read.length === 1 && read[0]?.offset === count
}
