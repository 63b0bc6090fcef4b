import { Buffer } from 'node:buffer'
import { ServiceError } from '@bailiwick/errors'
import { describe, expect, it } from 'vitest'
import type { Outgoing } from '../bus.ts'
import { Lane, type Parcel, type Sender } from './lane.ts'
import { TopicWriter, type TopicWriterOptions } from './topic-writer.ts'

const event = (key: string, text = key): Outgoing => ({ key, bytes: Buffer.from(text) })

/** Three partitions that record what is written. A send waits for `gate`, if given. */
function writerOf(options: Partial<TopicWriterOptions> = {}, gate: Promise<void> = Promise.resolve()) {
  const logs: string[][] = [[], [], []]
  const lane = (partition: number) => {
    const log = logs[partition] ?? []
    const send = async (batch: readonly Parcel[]) => {
      await gate
      return log.push(...batch.map(({ value }) => value.toString())) - batch.length
    }
    const openSender = async (): Promise<Sender> => ({ send, discard() {}, async close() {} })
    return new Lane({ openSender, giveUpMs: 10_000, onTrouble() {} })
  }
  return { logs, writer: new TopicWriter({ topic: 't', partitions: async () => 3, lane, ...options }) }
}

describe('a topic’s writer', () => {
  it('puts a key where every other client of Kafka puts it (rule 1)', async () => {
    const { writer } = writerOf({ partitions: async () => 12 })
    // murmur2 as in the Java client. From Kafka's own tests of its hash, and from KIP-794, which leaves partitioning by key unchanged.
    const positions = await writer.publish(['21', 'foobar', 'a-little-bit-long-string', ''].map((key) => event(key)))
    const murmur2 = [-973932308, -790332482, -985981536, 275646681]
    expect(positions.map(({ partition }) => partition)).toEqual(murmur2.map((hash) => (hash & 0x7fffffff) % 12))
  })

  it('keeps calls in order that were made before the topic was known', async () => {
    const known = Promise.withResolvers<number>()
    const { writer, logs } = writerOf({ partitions: () => known.promise })
    const calls = Array.from({ length: 30 }, (_, n) => writer.publish([event('key', `${n}`)]))
    known.resolve(3)
    calls.push(writer.publish([event('key', '30')]))
    const positions = (await Promise.all(calls)).flat()
    expect(positions.map(({ offset }) => offset)).toEqual(Array.from({ length: 31 }, (_, n) => n))
    expect(logs.flat()).toEqual(Array.from({ length: 31 }, (_, n) => `${n}`))
  })

  it('takes the bytes as they were when it was called', async () => {
    const known = Promise.withResolvers<number>()
    const { writer, logs } = writerOf({ partitions: () => known.promise })
    const mine = event('key', 'as it was')
    const publishing = writer.publish([mine])
    mine.bytes.fill(0)
    known.resolve(3)
    await publishing
    expect(logs.flat()).toEqual(['as it was'])
  })

  it('refuses what is too much as a whole, and takes it when there is room again (rule 6)', async () => {
    const gate = Promise.withResolvers<void>()
    const { writer, logs } = writerOf({ limits: { events: 3, bytes: 100 } }, gate.promise)
    const first = writer.publish([event('a'), event('b')])
    expect(() => writer.publish([event('c'), event('d')])).toThrow(ServiceError)
    expect(() => writer.publish([event('c', 'x'.repeat(99))])).toThrow('queue_full')
    const second = writer.publish([event('c')])
    gate.resolve()
    await Promise.all([first, second])
    await writer.publish([event('d'), event('e'), event('f')])
    expect(logs.flat().toSorted()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  })

  it('asks again for the partitions after that failed, and has not kept the room', async () => {
    let asked = 0
    const partitions = async () => {
      asked += 1
      if (asked === 1) throw new ServiceError('bus_unavailable', 'no broker answered')
      return 3
    }
    const { writer } = writerOf({ partitions, limits: { events: 1, bytes: 10 } })
    await expect(writer.publish([event('a')])).rejects.toMatchObject({ code: 'bus_unavailable' })
    await writer.settled()
    expect(await writer.publish([event('a')])).toHaveLength(1)
  })

  it('rejects a call when one of its partitions fails, and does not send the rest of it', async () => {
    const sent: string[] = []
    const lane = (partition: number) => {
      const openSender = async (): Promise<Sender> => ({
        async send(batch) {
          if (partition === 0) throw Object.assign(new Error('no'), { type: 'TOPIC_AUTHORIZATION_FAILED' })
          await new Promise((resolve) => setTimeout(resolve, 5))
          sent.push(...batch.map(({ value }) => value.toString()))
          return sent.length
        },
        discard() {},
        async close() {},
      })
      return new Lane({ openSender, giveUpMs: 1000, onTrouble() {} })
    }
    const { writer } = writerOf({ lane, partitions: async () => 2 })
    const keys = Array.from({ length: 1200 }, (_, n) => event(`key-${n}`))
    await expect(writer.publish(keys)).rejects.toMatchObject({ code: 'outcome_unknown' })
    await Promise.all(writer.lanes.map((one) => one.idle()))
    expect(sent.length).toBeLessThanOrEqual(500) // one batch was in progress when the other partition failed
  })
})
