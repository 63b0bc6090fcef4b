import { Buffer } from 'node:buffer'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Outgoing, Position } from '../bus.ts'
import { type Break, faultyBus } from '../faulty-bus.ts'
import { publishUntilDurable } from '../retrying.ts'
import { event, numbered, type OpenBus, place, readAll, readToEnd, TEST, text, withTopic } from './under-test.ts'

/** The guarantees of `publish` and `ends`. */
export function publishContract(name: string, open: OpenBus): void {
  describe(`${name}: publish`, () => {
    it('numbers each partition densely from 0 and says where it ends', TEST, async () => {
      await using under = await withTopic(open)
      const { bus, topic } = under
      expect(await bus.ends(topic)).toEqual([0, 0, 0])
      const positions = await bus.publish(topic, numbered(60))
      const ends = await bus.ends(topic)
      expect(ends).toHaveLength(3)
      for (const [partition, end] of ends.entries()) {
        const offsets = positions.filter((position) => position.partition === partition).map(({ offset }) => offset)
        expect(offsets).toEqual(Array.from({ length: end }, (_, n) => n))
        expect(end).toBeGreaterThan(0) // 60 keys that all miss one of three partitions: practically impossible
      }
      expect(await bus.publish(topic, [])).toEqual([])
    })

    it('keeps a key in one partition and in order, also across calls that were not awaited', TEST, async () => {
      await using under = await withTopic(open)
      const { bus, topic } = under
      const keys = ['a', 'b', 'c', 'd', 'e']
      const calls = Array.from({ length: 40 }, (_, n) => keys.map((key) => event(key, `${key}:${n}`)))
      await Promise.all(
        calls.flatMap((call) => [bus.publish(topic, call.slice(0, 2)), bus.publish(topic, call.slice(2))]),
      )
      const read = await readAll(bus, topic, 200)
      for (const key of keys) {
        const own = read.filter((message) => message.key === key)
        expect(own.map(text)).toEqual(Array.from({ length: 40 }, (_, n) => `${key}:${n}`))
        expect(new Set(own.map(({ partition }) => partition)).size).toBe(1)
      }
    })

    it('gives back exactly the bytes and key that went in, at the position that it named', TEST, async () => {
      await using under = await withTopic(open)
      const { bus, topic } = under
      const odd: Outgoing[] = [
        { key: 'clé ☂ 🦔', bytes: Uint8Array.from({ length: 256 }, (_, n) => n) },
        { key: '', bytes: Buffer.from('x') },
        { key: 'k'.repeat(1024), bytes: Buffer.from(' { "a" : 1 } ') },
      ]
      const mine = odd.map(({ key, bytes }) => ({ key, bytes: new Uint8Array(bytes) }))
      const publishing = bus.publish(topic, mine)
      for (const { bytes } of mine) bytes.fill(0) // the caller may reuse the bytes as soon as publish has returned its promise
      const positions = await publishing
      const read = await readAll(bus, topic, 3)
      for (const [n, position] of positions.entries()) {
        const found = read.find((one) => one.partition === position.partition && one.offset === position.offset)
        expect(found).toMatchObject({ topic, key: odd[n]?.key })
        expect(Buffer.from(found?.bytes ?? []).equals(odd[n]?.bytes ?? Buffer.of())).toBe(true)
      }
    })

    it('takes an event of 65,535 bytes, and for a larger one refuses the whole call', TEST, async () => {
      await using under = await withTopic(open)
      const { bus, topic } = under
      const small = event('a', 'small')
      await expect(bus.publish(topic, [small, { key: 'a', bytes: Buffer.alloc(65_536) }])).rejects.toMatchObject({
        code: 'event_too_large',
      })
      expect(await bus.ends(topic)).toEqual([0, 0, 0])
      await bus.publish(topic, [small, { key: 'a', bytes: Buffer.alloc(65_535, 'x') }])
      expect((await readAll(bus, topic, 2)).map(({ bytes }) => bytes.length)).toEqual([5, 65_535])
    })

    it('refuses a key that it could not give back', TEST, async () => {
      await using under = await withTopic(open)
      const { bus, topic } = under
      for (const key of ['\ud800', 'k'.repeat(1025), 'é'.repeat(513)]) {
        await expect(bus.publish(topic, [event('a', 'good'), event(key, 'bad')])).rejects.toMatchObject({
          code: 'event_malformed',
        })
      }
      expect(await bus.ends(topic)).toEqual([0, 0, 0])
    })

    it('has everything that it acknowledged when the process is killed right after (V2)', TEST, async () => {
      await using under = await withTopic(open)
      const { topic } = under
      const texts = Array.from({ length: 300 }, (_, n) => `text-${n}`)
      const acknowledged = (await under.killed({ does: 'publish', topic, texts }, 100)) as Position[]
      const bus = await under.reopen()
      const read = await readToEnd(bus, topic)
      const places = new Set(read.map(place))
      expect(acknowledged.map(place).filter((one) => !places.has(one))).toEqual([])
      expect(new Set(read.map(text)).size).toBe(read.length) // no duplicates: each was published once
      const [next] = await bus.publish(topic, [event('after', 'after')])
      expect(places.has(place(next as Position))).toBe(false)
    })

    it('loses nothing that was published before an orderly end', TEST, async () => {
      await using under = await withTopic(open)
      const { topic } = under
      const publishing = numbered(500).map((one) => under.bus.publish(topic, [one]))
      const closing = under.bus[Symbol.asyncDispose]()
      const places = (await Promise.all(publishing)).flat().map(place)
      await closing
      await expect(under.bus.publish(topic, numbered(1))).rejects.toMatchObject({ code: 'bus_unavailable' })
      const read = await readAll(await under.reopen(), topic, 500)
      expect(new Set(read.map(place))).toEqual(new Set(places))
    })

    it.each<[Break]>([['before'], ['after']])(
      'has an event whose publish broke %s its effect and was repeated with the same bytes',
      TEST,
      async (where) => {
        await using under = await withTopic(open)
        const { topic } = under
        const bus = faultyBus(under.bus, ({ method, n }) => (method === 'publish' && n % 2 === 0 ? where : undefined))
        const events = numbered(10)
        for (const one of events) await publishUntilDurable(bus, topic, [one], { wait: () => sleep(1) })
        const copies = where === 'before' ? 1 : 2
        const read = await readAll(under.bus, topic, events.length * copies)
        for (const one of events) expect(read.filter(({ key }) => key === one.key)).toHaveLength(copies)
        expect(new Set(read.map(text)).size).toBe(events.length)
      },
    )
  })
}
