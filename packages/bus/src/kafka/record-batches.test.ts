import { Buffer } from 'node:buffer'
import { createRequire } from 'node:module'
import { zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readFetch } from './cluster-link.ts'
import { readBatches } from './record-batches.ts'

// kafkajs writes the batches that are read here: two implementations that must agree.
interface Encoded {
  buffer: Buffer
}
const require = createRequire(import.meta.url)
const Long = require('kafkajs/src/utils/long') as { fromValue(value: number): unknown }
const encodeRecord = require('kafkajs/src/protocol/recordBatch/record/v0') as (record: object) => Encoded
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0') as {
  RecordBatch: (options: object) => Promise<Encoded>
}

interface Written {
  key: Buffer | null
  value: Buffer | null
  delta?: number
  time?: number
}

const ATTRIBUTES = 21

async function batchOf(base: number, records: readonly Written[], options: object = {}): Promise<Buffer> {
  const encoded = records.map(({ key, value, delta, time }, n) =>
    encodeRecord({ key, value, offsetDelta: delta ?? n, timestampDelta: time ?? n, headers: { trace: 'x' } }),
  )
  const { buffer } = await RecordBatch({
    firstOffset: Long.fromValue(base),
    firstTimestamp: 1000,
    maxTimestamp: 5000,
    lastOffsetDelta: records.at(-1)?.delta ?? records.length - 1,
    records: encoded,
    ...options,
  })
  return Buffer.from(buffer.subarray(0))
}

const record = (text: string): Written => ({ key: Buffer.from(`key of ${text}`), value: Buffer.from(text) })

describe('readBatches', () => {
  it('reads what kafkajs writes', async () => {
    const written = fc.array(
      fc.record({
        key: fc.option(fc.string().map((text) => Buffer.from(text))),
        value: fc.option(fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))),
      }),
      { minLength: 1, maxLength: 20 },
    )
    await fc.assert(
      fc.asyncProperty(written, fc.nat(2 ** 40), fc.constantFrom(0, 1), async (records, base, compression) => {
        const [batch] = readBatches(await batchOf(base, records, { compression }))
        expect(batch?.end).toBe(base + records.length)
        expect(batch?.records).toEqual(
          records.map(({ key, value }, n) => ({
            offset: base + n,
            timestamp: 1000 + n,
            key: key?.toString() ?? '',
            bytes: value ?? Buffer.of(),
          })),
        )
      }),
      { numRuns: 100 },
    )
  })

  it('takes the broker’s time where the topic has LogAppendTime', async () => {
    const batch = await batchOf(0, [record('a'), record('b')])
    batch[ATTRIBUTES + 1] = 0x08
    expect(readBatches(batch)[0]?.records.map(({ timestamp }) => timestamp)).toEqual([5000, 5000])
  })

  it('leaves a batch that was cut off for the next fetch', async () => {
    const first = await batchOf(0, [record('a')])
    const second = await batchOf(1, [record('b')])
    const both = Buffer.concat([first, second])
    for (let cut = 0; cut <= second.length; cut += 1) {
      const found = readBatches(both.subarray(0, first.length + cut))
      expect(found.map(({ end }) => end)).toEqual(cut === second.length ? [1, 2] : [1])
    }
  })

  it('says how far a batch goes of which compaction left nothing, or only some', async () => {
    const empty = await batchOf(10, [], { lastOffsetDelta: 6 })
    const some = await batchOf(17, [{ ...record('a'), delta: 2 }], { lastOffsetDelta: 4 })
    const found = readBatches(Buffer.concat([empty, some]))
    expect(found.map(({ end, records }) => [end, records.map(({ offset }) => offset)])).toEqual([
      [17, []],
      [22, [19]],
    ])
  })

  it('passes over the marks of transactions', async () => {
    const batch = await batchOf(3, [record('a')])
    batch[ATTRIBUTES + 1] = 0x20
    expect(readBatches(batch)).toEqual([{ end: 4, records: [] }])
  })

  it('unpacks zstd', async () => {
    const records = [record('a'), record('b')]
    const plain = await batchOf(0, records)
    const packed = zstdCompressSync(plain.subarray(61))
    const batch = Buffer.concat([plain.subarray(0, 61), packed])
    batch.writeInt32BE(batch.length - 12, 8)
    batch[ATTRIBUTES + 1] = 4
    expect(readBatches(batch)[0]?.records.map(({ bytes }) => String(bytes))).toEqual(['a', 'b'])
  })

  it('reports batches that it cannot read, and goes on behind them (V13)', async () => {
    const snappy = await batchOf(0, [record('a')])
    snappy[ATTRIBUTES + 1] = 2
    const plain = await batchOf(1, [record('x'.repeat(17 << 20))])
    const exploding = Buffer.concat([plain.subarray(0, 61), zstdCompressSync(plain.subarray(61))])
    exploding.writeInt32BE(exploding.length - 12, 8)
    exploding[ATTRIBUTES + 1] = 4
    const tooMany = await batchOf(2, [record('a')])
    tooMany.writeInt32BE(2 ** 31 - 1, 57)
    const found = readBatches(Buffer.concat([snappy, exploding, tooMany, await batchOf(3, [record('good')])]))
    expect(found.map(({ records: [one] }) => [one?.offset, one?.bytes.toString()])).toEqual([
      [0, ''],
      [1, ''],
      [2, ''],
      [3, 'good'],
    ])
  })

  it('does not take an older format for the one that it reads', async () => {
    const old = await batchOf(0, [record('a')])
    old[16] = 1
    expect(() => readBatches(old)).toThrow(RangeError)
  })

  it('reads any bytes or says that it cannot', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 61, maxLength: 200 }), (bytes) => {
        try {
          readBatches(Buffer.from(bytes))
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
        }
      }),
    )
  })
})

describe('readFetch', () => {
  const int16 = (value: number) => Buffer.from([value >> 8, value & 0xff])
  const int32 = (value: number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeInt32BE(value)
    return bytes
  }
  const int64 = (value: number) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64BE(BigInt(value))
    return bytes
  }
  const part = (partition: number, error: number, high: number, records: Buffer) =>
    Buffer.concat([
      int32(partition),
      int16(error),
      int64(high),
      int64(high),
      int64(0),
      int32(-1),
      int32(-1),
      int32(records.length),
      records,
    ])
  const answer = (...parts: Buffer[]) =>
    Buffer.concat([int32(7), int16(0), int32(0), int32(1), int16(1), Buffer.from('t'), int32(parts.length), ...parts])

  it('keeps one partition’s error to itself', async () => {
    const read = readFetch(answer(part(0, 6, -1, Buffer.of()), part(1, 0, 5, await batchOf(4, [record('a')]))))
    expect(read).toMatchObject({
      empty: false,
      clientSideThrottleTime: 7,
      partitions: [
        { topic: 't', partition: 0, errorCode: 6, batches: [] },
        { topic: 't', partition: 1, errorCode: 0, highWatermark: 5, batches: [{ end: 5 }] },
      ],
    })
  })

  it('calls an answer empty only when no partition has any bytes, not even of a batch that was cut off', async () => {
    const cut = (await batchOf(0, [record('a')])).subarray(0, 30)
    expect(readFetch(answer(part(0, 0, 5, Buffer.of()), part(1, 0, 5, Buffer.of()))).empty).toBe(true)
    expect(readFetch(answer(part(0, 0, 5, Buffer.of()), part(1, 0, 5, cut))).empty).toBe(false)
  })
})
