import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Handled } from '../bus.ts'
import { event, heldMemory, numbered, type OpenBus, TEST, text, until, withTopic } from './under-test.ts'

/** What a bus may hold for one follower, regardless of the backlog. The 20,000 events of a unit run are 40 MB. */
const HELD_BYTES = 16 << 20

/** The guarantees of an orderly end, and that no messages accumulate in memory. */
export function endContract(name: string, open: OpenBus, volume: number): void {
  describe(`${name}: end and volume`, () => {
    it('ends its followers and consumers, after the calls in flight', TEST, async () => {
      await using under = await withTopic(open)
      const { bus, topic } = under
      await bus.publish(topic, numbered(3))
      const inFlight = { follow: 0, consume: 0 }
      let ended = 0
      const follower = await bus.follow([topic], 'start', async () => {
        inFlight.follow += 1
        await sleep(20)
        ended += 1
      })
      follower.caughtUp.catch(() => {})
      await bus.consume([topic], 'group', async (batch) => {
        inFlight.consume += 1
        await sleep(20)
        ended += 1
        return batch.map((): Handled => 'done')
      })
      await until(() => inFlight.follow > 0 && inFlight.consume > 0)
      await bus[Symbol.asyncDispose]()
      expect(ended).toBe(inFlight.follow + inFlight.consume)
      await expect(bus.follow([topic], 'start', async () => {})).rejects.toMatchObject({ code: 'bus_unavailable' })
    })

    it(`loses none of ${volume} events, and holds no memory for a slow follower`, TEST, async () => {
      await using under = await withTopic(open, 4)
      const { bus, topic } = under
      const gate = Promise.withResolvers<void>()
      const seen = new Map<string, number>()
      let received = 0
      await using follower = await bus.follow([topic], 'start', async (batch) => {
        await gate.promise
        for (const message of batch) {
          const count = seen.get(message.key) ?? 0
          received += 1
          if (text(message).startsWith(`${count} `)) seen.set(message.key, count + 1)
        }
      })
      await follower.caughtUp
      const before = heldMemory()
      const padding = 'x'.repeat(2000)
      let sent = 0
      while (sent < volume) {
        const calls = Array.from({ length: 20 }, (_, call) => {
          const events = Array.from({ length: 50 }, (_, n) =>
            event(`key-${n}`, `${(sent / 1000) * 20 + call} ${padding}`),
          )
          return bus.publish(topic, events)
        })
        await Promise.all(calls)
        sent += 1000
      }
      await until(() => heldMemory() - before < HELD_BYTES)
      gate.resolve()
      await until(() => received >= sent)
      expect([...seen.values()]).toEqual(Array.from({ length: 50 }, () => sent / 50)) // each key complete and in order
      expect(received).toBe(sent)
      await until(() => heldMemory() - before < HELD_BYTES)
    })
  })
}
