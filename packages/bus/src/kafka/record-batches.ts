import { Buffer } from 'node:buffer'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'

/** One record of a partition. Members that the writer left out are empty here. */
export interface FetchedRecord {
  offset: number
  timestamp: number
  key: string
  bytes: Buffer
}

export interface FetchedBatch {
  /** The offset after the batch's last one, even if that record no longer exists: compaction leaves batches without records. */
  end: number
  records: FetchedRecord[]
}

/** The most bytes that a batch may unpack to. Events have at most 65,535 bytes and our writers do not compress: more is hostile. */
const MAX_UNPACKED_BYTES = 16 << 20

const HEADER = { length: 8, magic: 16, attributes: 21, lastOffsetDelta: 23, firstTimestamp: 27, maxTimestamp: 35 }
const COUNT = 57
const RECORDS = 61
const LENGTH_END = 12

/**
 * Reads the record batches (Kafka's message format 2) that a fetch gave for one partition. The last batch may be cut off and is
 * then left for the next fetch. kafkajs's own reader drops the batch headers. Without them, holes that compaction left at the end
 * of a segment cannot be told from holes that still hold something.
 * A batch that cannot be read (an unknown compression, or a compression bomb) becomes one record without key and
 * bytes at its first offset, so that its reader sees that something unreadable is there. Throws when the framing is broken.
 */
export function readBatches(bytes: Buffer): FetchedBatch[] {
  const batches: FetchedBatch[] = []
  let at = 0
  while (at + RECORDS <= bytes.length) {
    const size = LENGTH_END + bytes.readInt32BE(at + HEADER.length)
    if (size < RECORDS || bytes.readInt8(at + HEADER.magic) !== 2) throw new RangeError('not a batch of format 2')
    if (at + size > bytes.length) break
    batches.push(readBatch(bytes.subarray(at, at + size)))
    at += size
  }
  return batches
}

function readBatch(batch: Buffer): FetchedBatch {
  const base = Number(batch.readBigInt64BE(0))
  const attributes = batch.readInt16BE(HEADER.attributes)
  const maxTimestamp = Number(batch.readBigInt64BE(HEADER.maxTimestamp))
  const end = base + batch.readInt32BE(HEADER.lastOffsetDelta) + 1
  const isControl = (attributes & 0x20) !== 0 // the end of a transaction, which is not an event
  if (isControl) return { end, records: [] }
  // With LogAppendTime only the header has the broker's time; the records still carry the writer's.
  const appended = (attributes & 0x08) !== 0 ? maxTimestamp : undefined
  const first = Number(batch.readBigInt64BE(HEADER.firstTimestamp))
  try {
    const records = new Cursor(unpacked(attributes & 0x07, batch.subarray(RECORDS)))
    const found: FetchedRecord[] = []
    for (let n = batch.readInt32BE(COUNT); n > 0; n -= 1) found.push(readRecord(records, base, first, appended))
    return { end, records: found }
  } catch {
    return { end, records: [{ offset: base, timestamp: maxTimestamp, key: '', bytes: Buffer.of() }] }
  }
}

function unpacked(codec: number, bytes: Buffer): Buffer {
  if (codec === 0) return bytes
  if (codec === 1) return gunzipSync(bytes, { maxOutputLength: MAX_UNPACKED_BYTES })
  if (codec === 4) return zstdDecompressSync(bytes, { maxOutputLength: MAX_UNPACKED_BYTES })
  throw new RangeError('a compression that Node does not have')
}

function readRecord(records: Cursor, base: number, first: number, appended: number | undefined): FetchedRecord {
  const record = new Cursor(records.take(records.varint()))
  record.take(1) // attributes, unused by Kafka
  const timestamp = appended ?? first + record.varint()
  if (appended !== undefined) record.varint()
  const offset = base + record.varint()
  const key = record.takeNullable().toString()
  // Copied: keeping one event must not keep the whole answer of a megabyte in memory.
  return { offset, timestamp, key, bytes: Buffer.from(record.takeNullable()) }
}

/** Reads through a buffer. Throws RangeError rather than read beyond its end. */
class Cursor {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  take(length: number): Buffer {
    const end = this.#at + length
    if (length < 0 || end > this.#bytes.length) throw new RangeError('the record ends before it should')
    const taken = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return taken
  }

  takeNullable(): Buffer {
    const length = this.varint()
    return length < 0 ? Buffer.of() : this.take(length)
  }

  /** A zigzag varint or varlong. Inexact beyond 2^53, which none of our lengths, deltas or times reach. */
  varint(): number {
    let value = 0
    let factor = 1
    for (let n = 0; n < 10; n += 1) {
      const byte = this.take(1)[0] as number
      value += (byte & 0x7f) * factor
      if ((byte & 0x80) === 0) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      factor *= 128
    }
    throw new RangeError('a varint of more than ten bytes')
  }
}
