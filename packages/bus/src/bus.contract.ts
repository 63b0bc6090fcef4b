import { Buffer } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import type { Bus, Handled, Message, Outgoing, Position } from './bus.ts'
import type { CrashWork } from './crash-work.ts'
import { eachMessage } from './each-message.ts'
import { type Break, faultyBus } from './faulty-bus.ts'
import { publishUntilDurable } from './retrying.ts'

export interface TopicSpec {
  name: string
  partitions: number
}

/** A real bus with its storage, for one test. Disposing of it closes the bus and removes what the test made. */
export interface BusUnderTest extends AsyncDisposable {
  /** The open bus; after `reopen` the new one. */
  readonly bus: Bus
  /** Closes the bus in an orderly way if it is open, and opens it again over the same storage. */
  reopen(): Promise<Bus>
  /**
   * Closes the bus here, has a process of its own do the work over the same storage (`doCrashWork`), sends it SIGKILL the
   * moment it has reported `lines` lines, and gives what it reported (`killAfterLines`).
   */
  killed(work: CrashWork, lines: number): Promise<unknown[]>
}

export interface ContractOptions {
  /** How many events the test of volume sends. */
  events?: number
}

const DEADLINE_MS = 30_000
const TEST = { timeout: 90_000 }

/** The port's other half: what every adapter must do, on the real thing. Eventual things are waited for, with a deadline. */
export function busContract(
  name: string,
  open: (topics: readonly TopicSpec[]) => Promise<BusUnderTest>,
  { events: volume = 20_000 }: ContractOptions = {},
): void {
  async function withTopic(partitions = 3): Promise<BusUnderTest & { topic: string }> {
    const topic = `contract-${randomUUID()}`
    return Object.assign(await open([{ name: topic, partitions }]), { topic })
  }

  describe(`${name}: publish`, () => {
    it('numbers each partition densely from 0 and says where it ends', TEST, async () => {
      await using under = await withTopic()
      const { bus, topic } = under
      expect(await bus.ends(topic)).toEqual([0, 0, 0])
      const positions = await bus.publish(topic, numbered(60))
      const ends = await bus.ends(topic)
      expect(ends).toHaveLength(3)
      for (const [partition, end] of ends.entries()) {
        const offsets = positions.filter((position) => position.partition === partition).map(({ offset }) => offset)
        expect(offsets).toEqual(Array.from({ length: end }, (_, n) => n))
        expect(end).toBeGreaterThan(0) // 60 keys that all miss one of three partitions: not in this universe
      }
      expect(await bus.publish(topic, [])).toEqual([])
    })

    it('keeps a key in one partition and in order, also across calls that were not awaited', TEST, async () => {
      await using under = await withTopic()
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
      await using under = await withTopic()
      const { bus, topic } = under
      const odd: Outgoing[] = [
        { key: 'clé ☂ 🦔', bytes: Uint8Array.from({ length: 256 }, (_, n) => n) },
        { key: '', bytes: Buffer.from('x') },
        { key: 'k'.repeat(1024), bytes: Buffer.from(' { "a" : 1 } ') },
      ]
      const mine = odd.map(({ key, bytes }) => ({ key, bytes: new Uint8Array(bytes) }))
      const publishing = bus.publish(topic, mine)
      for (const { bytes } of mine) bytes.fill(0) // ours again as soon as publish has returned its promise
      const positions = await publishing
      const read = await readAll(bus, topic, 3)
      for (const [n, position] of positions.entries()) {
        const found = read.find((one) => one.partition === position.partition && one.offset === position.offset)
        expect(found).toMatchObject({ topic, key: odd[n]?.key })
        expect(Buffer.from(found?.bytes ?? []).equals(odd[n]?.bytes ?? Buffer.of())).toBe(true)
      }
    })

    it('takes an event of 65,535 bytes, and for a larger one refuses the whole call', TEST, async () => {
      await using under = await withTopic()
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
      await using under = await withTopic()
      const { bus, topic } = under
      for (const key of ['\ud800', 'k'.repeat(1025), 'é'.repeat(513)]) {
        await expect(bus.publish(topic, [event('a', 'good'), event(key, 'bad')])).rejects.toMatchObject({
          code: 'event_malformed',
        })
      }
      expect(await bus.ends(topic)).toEqual([0, 0, 0])
    })

    it('has everything that it acknowledged when the process is killed right after (V2)', TEST, async () => {
      await using under = await withTopic()
      const { topic } = under
      const texts = Array.from({ length: 300 }, (_, n) => `text-${n}`)
      const acknowledged = (await under.killed({ does: 'publish', topic, texts }, 100)) as Position[]
      const bus = await under.reopen()
      const read = await readToEnd(bus, topic)
      const places = new Set(read.map(place))
      expect(acknowledged.map(place).filter((one) => !places.has(one))).toEqual([])
      expect(new Set(read.map(text)).size).toBe(read.length) // nothing twice: each was published once
      const [next] = await bus.publish(topic, [event('after', 'after')])
      expect(places.has(place(next as Position))).toBe(false)
    })

    it('loses nothing that was published before an orderly end', TEST, async () => {
      await using under = await withTopic()
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
        await using under = await withTopic()
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

  describe(`${name}: follow`, () => {
    it('gives every follower everything from the start, and then what comes', TEST, async () => {
      await using under = await withTopic()
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
      const specs = ['a', 'b'].map((letter) => ({ name: `contract-${letter}-${randomUUID()}`, partitions: 2 }))
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
      await using under = await withTopic()
      const { bus, topic } = under
      const all: Message[] = []
      await using follower = await bus.follow([topic], 'start', async (batch) => void all.push(...batch))
      await follower.caughtUp
      // Until several moments have messages in several partitions: how long that takes is the bus's clock's affair.
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
      await using under = await withTopic()
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

    it('makes one call at a time, and never a call after it was disposed of', TEST, async () => {
      await using under = await withTopic()
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
      await Promise.all(numbered(50).map((one) => bus.publish(topic, [one])))
      await until(() => calls > 3)
      await follower[Symbol.asyncDispose]()
      expect(running).toBe(0)
      const before = calls
      await bus.publish(topic, numbered(10, 50))
      await readAll(bus, topic, 60)
      expect(calls).toBe(before)
      expect(most).toBe(1)
    })

    it('fails when its handler throws, and skips nothing (V13)', TEST, async () => {
      await using under = await withTopic(1)
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
      await using under = await withTopic(1)
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

  describe(`${name}: consume`, () => {
    it(
      'shares the partitions in a group, one call a partition at a time, and gives each group everything',
      TEST,
      async () => {
        await using under = await withTopic(4)
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
      await using under = await withTopic(4)
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

    it('goes on after what was handled when it is opened again', TEST, async () => {
      await using under = await withTopic()
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
      await using under = await withTopic(1)
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
        await using under = await withTopic(1)
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
        // Whatever stood behind it in its batch came once more, after it; nothing before it did.
        const order = delivered.filter((one, n) => delivered.indexOf(one) === n)
        expect(order).toEqual(numbered(8).map(text))
        expect(delivered.filter((one) => one === 'text-4')).toHaveLength(4)
        expect(delivered.filter((one) => one < 'text-4')).toHaveLength(4)
        expect(delivered.slice(delivered.lastIndexOf('text-4'))).toEqual(['text-4', 'text-5', 'text-6', 'text-7'])
      },
    )

    it('delivers again a batch whose handler threw or did not answer for each message', TEST, async () => {
      await using under = await withTopic(1)
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
      await using under = await withTopic(1)
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

  describe(`${name}: end and volume`, () => {
    it('ends its followers and consumers, after the calls in flight', TEST, async () => {
      await using under = await withTopic()
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
      await using under = await withTopic(4)
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
      expect(heldMemory() - before).toBeLessThan(16 << 20) // of 2 KB an event
      gate.resolve()
      await until(() => received >= sent)
      expect([...seen.values()]).toEqual(Array.from({ length: 50 }, () => sent / 50)) // each key complete and in order
      expect(received).toBe(sent)
      expect(heldMemory() - before).toBeLessThan(16 << 20)
    })
  })

  /** Whether the group `group` has committed the first `count` messages: then a new member gets only what comes next. */
  async function committedAfter(under: BusUnderTest, topic: string, count: number): Promise<boolean> {
    const bus = await under.reopen()
    await bus.publish(topic, [event('next', 'next')])
    const read = await consumeAll(bus, topic, 'group', 1)
    return read.length === 1 && read[0]?.offset === count
  }
}

function event(key: string, body: string): Outgoing {
  return { key, bytes: Buffer.from(body) }
}

function numbered(count: number, from = 0): Outgoing[] {
  return Array.from({ length: count }, (_, n) => event(`key-${from + n}`, `text-${from + n}`))
}

function text({ bytes }: { bytes: Uint8Array }): string {
  return Buffer.from(bytes).toString()
}

function place({ topic, partition, offset }: Position): string {
  return `${topic}/${partition}/${offset}`
}

function distinct(messages: readonly Message[]): number {
  return new Set(messages.map(place)).size
}

function inOrder(messages: readonly Message[]): boolean {
  const next = new Map<number, number>()
  return messages.every(({ partition, offset }) => {
    const expected = next.get(partition) ?? 0
    next.set(partition, offset + 1)
    return offset === expected
  })
}

/** Everything of a topic that must hold exactly `count` messages by now. */
async function readAll(bus: Bus, topic: string, count: number): Promise<Message[]> {
  const read = await readToEnd(bus, topic)
  expect(read).toHaveLength(count)
  return read
}

async function readToEnd(bus: Bus, topic: string): Promise<Message[]> {
  const read: Message[] = []
  await using follower = await bus.follow([topic], 'start', async (batch) => void read.push(...batch))
  await follower.caughtUp
  return read
}

/** What a member gets until it has `count` different messages, all answered with done and committed. */
async function consumeAll(bus: Bus, topic: string, group: string, count: number): Promise<Message[]> {
  const read: Message[] = []
  await using _ = await bus.consume([topic], group, async (batch) => {
    read.push(...batch)
    return batch.map((): Handled => 'done')
  })
  await until(() => distinct(read) >= count)
  return read
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const give = AbortSignal.timeout(DEADLINE_MS)
  while (!(await condition())) {
    if (give.aborted) throw new Error(`not within ${DEADLINE_MS} ms: ${condition}`)
    await sleep(5)
  }
}

/** Bytes that this process still needs after a full collection. Not the resident size: a memory-mapped file counts there. */
function heldMemory(): number {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
