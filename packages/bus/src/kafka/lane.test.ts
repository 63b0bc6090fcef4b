import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Lane, type Parcel, type Sender } from './lane.ts'

/** What happens to one attempt. `before`, `after`: rejected, without or with its effect; `silent`: no answer ever comes. */
type Fault = 'none' | 'before' | 'after' | 'silent' | 'fenced' | 'forbidden' | 'too_large'

/**
 * One partition as Kafka keeps it for idempotent producers, behind a producer that acts like kafkajs: it reuses a sequence number
 * when a request fails, and the broker answers a number that it knows with the offset that it gave then (repro C).
 */
class FakePartition {
  readonly log: string[] = []
  readonly requests: number[] = []
  readonly faults: Fault[]
  producers = 0
  running = 0
  most = 0

  constructor(faults: readonly Fault[] = []) {
    this.faults = [...faults]
  }

  readonly open = async (): Promise<Sender> => {
    this.producers += 1
    const known: { sequence: number; count: number; base: number }[] = []
    let sequence = 0
    let discarded = false
    return {
      send: async (batch) => {
        if (discarded) throw new Error('used after it was thrown away')
        const first = sequence
        sequence += batch.length
        this.requests.push(batch.length)
        this.running += 1
        this.most = Math.max(this.most, this.running)
        try {
          return await this.#request(known, first, batch)
        } catch (error) {
          sequence = first
          throw error
        } finally {
          this.running -= 1
        }
      },
      discard: () => {
        discarded = true
      },
      close: async () => {},
    }
  }

  async #request(
    known: { sequence: number; count: number; base: number }[],
    sequence: number,
    batch: readonly Parcel[],
  ): Promise<number> {
    const fault = this.faults.shift() ?? 'none'
    await new Promise(setImmediate)
    if (fault === 'before') throw new Error('connection closed')
    if (fault === 'fenced') throw kafkaError('OUT_OF_ORDER_SEQUENCE_NUMBER')
    if (fault === 'forbidden') throw kafkaError('TOPIC_AUTHORIZATION_FAILED')
    if (fault === 'too_large') throw kafkaError('MESSAGE_TOO_LARGE')
    let base = known.find((one) => one.sequence === sequence && one.count === batch.length)?.base
    if (base === undefined) {
      const last = known.at(-1)
      if (sequence !== (last === undefined ? 0 : last.sequence + last.count))
        throw kafkaError('OUT_OF_ORDER_SEQUENCE_NUMBER')
      base = this.log.length
      known.push({ sequence, count: batch.length, base })
      this.log.push(...batch.map(({ value }) => value.toString()))
    }
    if (fault === 'after') throw new Error('request timed out')
    if (fault === 'silent') await new Promise(() => {})
    return base
  }
}

function kafkaError(type: string): Error {
  return Object.assign(new Error(type), { cause: Object.assign(new Error(type), { type }) })
}

type Outcome = { text: string; offset?: number; code?: string }

function parcel(text: string, outcomes: Outcome[], abandoned = false): Parcel {
  return {
    key: Buffer.from('key'),
    value: Buffer.from(text),
    acknowledged: (offset) => outcomes.push({ text, offset }),
    failed: ({ code }) => outcomes.push({ text, code }),
    abandoned,
  }
}

function laneTo(partition: FakePartition, giveUpMs = 10_000, patienceMs = 10_000) {
  const troubles: (string | undefined)[] = []
  const stuck: string[] = []
  const lane = new Lane({
    openSender: partition.open,
    giveUpMs,
    patienceMs,
    firstPauseMs: 1,
    onTrouble: (reason) => void troubles.push(reason),
    onStuck: (reason) => void stuck.push(reason),
  })
  return { lane, troubles, stuck }
}

const texts = (count: number) => Array.from({ length: count }, (_, n) => `text-${n}`)

describe('a lane', () => {
  it('has one request in flight, which carries what gathered during the one before', async () => {
    const partition = new FakePartition()
    const { lane } = laneTo(partition)
    const outcomes: Outcome[] = []
    lane.add([parcel('a', outcomes)])
    lane.add([parcel('b', outcomes)]) // at the same moment, so in the same batch
    await new Promise(setImmediate)
    for (const text of texts(40)) lane.add([parcel(text, outcomes)])
    await lane.idle()
    expect(partition.requests).toEqual([2, 40])
    expect(partition.most).toBe(1)
    expect(outcomes.map(({ offset }) => offset)).toEqual(Array.from({ length: 42 }, (_, n) => n))
  })

  it('sends at most 500 messages and 512 KiB at once', async () => {
    const partition = new FakePartition()
    const { lane } = laneTo(partition)
    const outcomes: Outcome[] = []
    lane.add(texts(1100).map((text) => parcel(text, outcomes)))
    await lane.idle()
    lane.add(Array.from({ length: 20 }, () => parcel('x'.repeat(65_000), outcomes)))
    await lane.idle()
    expect(partition.requests).toEqual([500, 500, 100, 8, 8, 4])
    expect(outcomes).toHaveLength(1120)
  })

  it.each<[Fault]>([['before'], ['after']])(
    'repeats the same batch through the same producer when an attempt breaks %s its effect (repro C)',
    async (fault) => {
      const partition = new FakePartition([fault, fault, 'none'])
      const { lane } = laneTo(partition)
      const outcomes: Outcome[] = []
      lane.add([parcel('a', outcomes)])
      lane.add([parcel('b', outcomes)])
      await new Promise(setImmediate)
      lane.add([parcel('c', outcomes), parcel('d', outcomes)]) // as many events: on the wrong producer they would count as the repeat
      await lane.idle()
      expect(partition.log).toEqual(['a', 'b', 'c', 'd'])
      expect(outcomes.map(({ offset }) => offset)).toEqual([0, 1, 2, 3])
      expect(partition.producers).toBe(1)
    },
  )

  it('reports an unknown outcome when it gives up, and goes on with a new producer', async () => {
    const partition = new FakePartition(['silent'])
    const { lane } = laneTo(partition, 20)
    const outcomes: Outcome[] = []
    lane.add([parcel('a', outcomes)])
    await new Promise(setImmediate)
    lane.add([parcel('b', outcomes)])
    await lane.idle()
    expect(outcomes).toEqual([
      { text: 'a', code: 'outcome_unknown' },
      { text: 'b', offset: 1 },
    ])
    expect(partition.log).toEqual(['a', 'b'])
    expect(partition.producers).toBe(2)
  })

  it('never gives up while the broker is away, and keeps the order of what gathers meanwhile (V15)', async () => {
    const partition = new FakePartition(Array<Fault>(400).fill('before'))
    const lane = new Lane({ openSender: partition.open, patienceMs: 20, firstPauseMs: 0.01, onTrouble: () => {} })
    const outcomes: Outcome[] = []
    lane.add([parcel('a', outcomes)])
    await new Promise(setImmediate)
    for (const text of ['b', 'c']) lane.add([parcel(text, outcomes)])
    partition.faults.splice(12)
    await lane.idle()
    expect(partition.log).toEqual(['a', 'b', 'c'])
    expect(outcomes.map(({ text, offset }) => `${text} ${offset}`)).toEqual(['a 0', 'b 1', 'c 2'])
  })

  it('has another producer repeat a batch to which no answer comes, long before it gives up', async () => {
    const partition = new FakePartition(['silent', 'silent'])
    const { lane, stuck } = laneTo(partition, 60_000, 20)
    const outcomes: Outcome[] = []
    lane.add([parcel('a', outcomes)])
    await new Promise(setImmediate)
    lane.add([parcel('b', outcomes)])
    await lane.idle()
    expect(outcomes.map(({ text, code }) => ({ text, code }))).toEqual([{ text: 'a' }, { text: 'b' }])
    // Readers fold by event id. On a machine that stalls there may be one duplicate more.
    expect([...new Set(partition.log)]).toEqual(['a', 'b'])
    expect(partition.log.indexOf('b')).toBeGreaterThanOrEqual(3)
    expect(stuck.slice(0, 2)).toEqual(['no answer came', 'no answer came'])
  })

  it('does so when one producer only ever fails, as on a connection that is dead and counts as alive', async () => {
    const partition = new FakePartition()
    let opened = 0
    const openSender = async () => {
      const sender = await partition.open()
      opened += 1
      return opened === 1 ? { ...sender, send: async () => Promise.reject(new Error('request timed out')) } : sender
    }
    const stuck: string[] = []
    const lane = new Lane({
      openSender,
      giveUpMs: 60_000,
      patienceMs: 20,
      firstPauseMs: 1,
      onTrouble: () => {},
      onStuck: (reason) => void stuck.push(reason),
    })
    const outcomes: Outcome[] = []
    lane.add([parcel('a', outcomes)])
    await lane.idle()
    expect(outcomes).toMatchObject([{ text: 'a', offset: expect.any(Number) }])
    expect(stuck[0]).toBe('request timed out')
  })

  it('does so when a producer does not even open', async () => {
    const partition = new FakePartition()
    let asked = 0
    const openSender = async () => {
      asked += 1
      return asked === 1 ? await new Promise<Sender>(() => {}) : await partition.open()
    }
    const lane = new Lane({ openSender, giveUpMs: 60_000, patienceMs: 20, onTrouble: () => {} })
    const outcomes: Outcome[] = []
    lane.add([parcel('a', outcomes)])
    await lane.idle()
    expect(outcomes).toMatchObject([{ text: 'a', offset: expect.any(Number) }])
  })

  it('takes a new producer for the same batch when its numbering is no longer the broker’s', async () => {
    const partition = new FakePartition(['none', 'fenced'])
    const { lane } = laneTo(partition)
    const outcomes: Outcome[] = []
    for (const text of ['a', 'b']) {
      lane.add([parcel(text, outcomes)])
      await lane.idle()
    }
    expect(outcomes.map(({ offset }) => offset)).toEqual([0, 1])
    expect(partition.producers).toBe(2)
  })

  it('fails what the broker forbids at once, says so, and says when it goes well again (V13)', async () => {
    const partition = new FakePartition(['forbidden'])
    const { lane, troubles } = laneTo(partition)
    const outcomes: Outcome[] = []
    lane.add([parcel('a', outcomes)])
    await lane.idle()
    lane.add([parcel('b', outcomes)])
    await lane.idle()
    expect(outcomes.map(({ code }) => code)).toEqual(['outcome_unknown', undefined])
    expect(troubles).toEqual(['forbidden: TOPIC_AUTHORIZATION_FAILED', undefined])
    expect(partition.producers).toBe(2)
  })

  it('knows that nothing was written when it may not even open a producer', async () => {
    const outcomes: Outcome[] = []
    const openSender = async () => {
      throw kafkaError('CLUSTER_AUTHORIZATION_FAILED')
    }
    const lane = new Lane({ openSender, giveUpMs: 1000, onTrouble: () => {} })
    lane.add([parcel('a', outcomes)])
    await lane.idle()
    expect(outcomes).toEqual([{ text: 'a', code: 'bus_unavailable' }])
  })

  it('finds the one event that is too large, and delivers the others in order', async () => {
    const partition = new FakePartition()
    const open = async (): Promise<Sender> => {
      const sender = await partition.open()
      const send = async (batch: readonly Parcel[]) => {
        if (batch.some(({ value }) => value.toString() === 'text-5')) throw kafkaError('MESSAGE_TOO_LARGE')
        return await sender.send(batch)
      }
      return { ...sender, send }
    }
    const outcomes: Outcome[] = []
    const lane = new Lane({ openSender: open, giveUpMs: 1000, onTrouble: () => {} })
    lane.add(texts(9).map((text) => parcel(text, outcomes)))
    await lane.idle()
    expect(outcomes.filter(({ code }) => code !== undefined)).toEqual([{ text: 'text-5', code: 'event_too_large' }])
    expect(partition.log).toEqual(texts(9).filter((text) => text !== 'text-5'))
  })

  it('takes no acknowledgement of something else for its own', async () => {
    const bases = [7, 7, 9]
    const sender: Sender = { send: async () => bases.shift() ?? -1, discard() {}, async close() {} }
    const lane = new Lane({ openSender: async () => sender, giveUpMs: 1000, onTrouble: () => {} })
    const outcomes: Outcome[] = []
    for (const text of ['a', 'b', 'c']) {
      lane.add([parcel(text, outcomes)])
      await lane.idle()
    }
    expect(outcomes).toEqual([
      { text: 'a', offset: 7 },
      { text: 'b', code: 'outcome_unknown' },
      { text: 'c', offset: 9 },
    ])
  })

  it('does not send what belongs to a call that has already failed', async () => {
    const partition = new FakePartition()
    const { lane } = laneTo(partition)
    const outcomes: Outcome[] = []
    lane.add([parcel('a', outcomes), parcel('b', outcomes, true), parcel('c', outcomes)])
    await lane.idle()
    expect(partition.log).toEqual(['a', 'c'])
  })

  it('ends with an answer for everything when it must not wait any longer', async () => {
    const partition = new FakePartition(['silent'])
    const { lane } = laneTo(partition)
    const outcomes: Outcome[] = []
    lane.add([parcel('a', outcomes)])
    await new Promise(setImmediate)
    lane.add([parcel('b', outcomes)])
    lane.giveUp()
    await lane.idle()
    expect(outcomes.map(({ code }) => code).toSorted()).toEqual(['outcome_unknown', 'outcome_unknown'])
  })

  it('under any faults: acknowledged is written where it says, in order, and nothing twice that one producer wrote', async () => {
    const fault = fc.constantFrom<Fault>(
      'none',
      'none',
      'before',
      'after',
      'fenced',
      'silent',
      'forbidden',
      'too_large',
    )
    const bursts = fc.array(fc.nat(4), { minLength: 1, maxLength: 8 })
    const patience = fc.constantFrom(3, 10_000)
    await fc.assert(
      fc.asyncProperty(fc.array(fault, { maxLength: 12 }), bursts, patience, async (faults, sizes, patienceMs) => {
        const partition = new FakePartition(faults)
        const { lane } = laneTo(partition, 10, patienceMs)
        const outcomes: Outcome[] = []
        let next = 0
        for (const size of sizes) {
          lane.add(
            texts(next + size)
              .slice(next)
              .map((text) => parcel(text, outcomes)),
          )
          next += size
          await new Promise(setImmediate)
        }
        await lane.idle()
        expect(outcomes.map(({ text }) => text).toSorted()).toEqual(texts(next).toSorted()) // one answer each
        for (const { text, offset } of outcomes) if (offset !== undefined) expect(partition.log[offset]).toBe(text)
        const acknowledged = outcomes.filter(({ offset }) => offset !== undefined)
        expect(acknowledged.map(({ offset }) => offset)).toEqual(
          acknowledged.map(({ offset }) => offset ?? 0).toSorted((a, b) => a - b),
        )
        const copies = partition.log.length - new Set(partition.log).size
        const trusted = patienceMs > 10 && !faults.includes('fenced') && !faults.includes('too_large')
        if (trusted) expect(copies).toBe(0)
      }),
      { numRuns: 150 },
    )
  })
})
