import type { Buffer } from 'node:buffer'
import { ServiceError } from '@bailiwick/errors'
import type { Database, Key } from 'lmdb'
import type { Message } from '../bus.ts'
import type { BodyFiles } from './body-files.ts'
import { decodeMessage, encodeMessage, isElsewhere, keyOf, timestampOf } from './message-codec.ts'
import { firstAtOrAfter, type PartitionLog } from './partition-log.ts'

/** A message that has an offset but is not written yet. */
export interface Staged {
  offset: number
  key: string
  value: Buffer
  /** For an erasable topic: the bytes that go into a separate file. */
  body: Uint8Array | undefined
  partition: DurablePartition
}

/** Up to this many messages are looked up one by one. */
const few = 8

/** Shared by all partitions: one lmdb environment, so that one transaction covers several of them. */
export interface Stores {
  /** [topic, partition, offset] → message. */
  messages: Database<Buffer, Key>
  /** [topic, partition] → the first offset that was never removed. Offsets of removed messages are not reused. */
  floors: Database<number, Key>
}

/**
 * When events of an erasable topic are removed: once a later event of the key replaces them, or once the topic's only group handled them.
 */
export type Erasable = 'by_key' | 'once_handled'

export class DurablePartition implements PartitionLog {
  readonly topic: string
  readonly partition: number
  readonly listeners = new Set<() => void>()
  readonly #stores: Stores
  /** Only for an erasable topic. */
  readonly #bodies: BodyFiles | undefined
  readonly #goes: Erasable | undefined
  /** Only for a topic that is erasable by key: where the newest event of each key is. */
  readonly #newest = new Map<string, number>()
  #first: number
  #end: number
  /** Ahead of `end` by the number of staged messages. */
  #next: number
  #lastTimestamp: number
  /** Behind `first` by the number of messages that are expired but not yet deleted. */
  #oldestStored: number

  constructor(stores: Stores, topic: string, partition: number, erasable?: { bodies: BodyFiles; goes: Erasable }) {
    this.topic = topic
    this.partition = partition
    this.#stores = stores
    this.#bodies = erasable?.bodies
    this.#goes = erasable?.goes
    const floor = stores.floors.get([topic, partition]) ?? 0
    const newestFirst = {
      start: [topic, partition, Number.MAX_SAFE_INTEGER],
      end: [topic, partition, -1],
      reverse: true,
      limit: 1,
    }
    const newest = [...stores.messages.getRange(newestFirst)][0]
    this.#first = floor
    this.#oldestStored = floor
    this.#end = newest === undefined ? floor : offsetOf(newest.key) + 1
    this.#next = this.#end
    this.#lastTimestamp = newest === undefined ? 0 : timestampOf(newest.value)
    for (const offset of this.#bodies?.offsets() ?? []) this.#found(offset)
  }

  get first(): number {
    return this.#first
  }

  get end(): number {
    return this.#end
  }

  /** Assigns an event its offset. Staged events must be put, in this order, or the bus must stop: a gap is never closed. */
  stage(key: string, bytes: Uint8Array, now: number): Staged {
    const offset = this.#next
    this.#next += 1
    this.#lastTimestamp = Math.max(now, this.#lastTimestamp)
    const value = encodeMessage(this.#lastTimestamp, key, this.#bodies ? undefined : bytes)
    return { offset, key, value, body: this.#bodies && new Uint8Array(bytes), partition: this }
  }

  /** Makes durable what the transaction refers to. Call it before the transaction. */
  async prepare({ offset, body }: Staged): Promise<void> {
    if (body !== undefined) await this.#bodies?.write(offset, body)
  }

  put({ offset, value }: Staged): void {
    this.#stores.messages.put([this.topic, this.partition, offset], value)
  }

  /** For a topic erasable by key: removes the key's earlier event for good. Call this once the new event is durable. */
  supersede({ offset, key }: Pick<Staged, 'offset' | 'key'>): void {
    if (this.#goes !== 'by_key') return
    const before = this.#newest.get(key)
    if (before !== undefined) this.#bodies?.remove(before)
    this.#newest.set(key, offset)
  }

  /** For a topic erasable once handled: removes everything before `offset` for good. Call this once that position is durable. */
  handled(offset: number): void {
    if (this.#goes !== 'once_handled') return
    for (; this.#first < Math.min(offset, this.#end); this.#first += 1) this.#bodies?.remove(this.#first)
  }

  /** Makes everything up to `offset` visible to readers. */
  durable(offset: number): void {
    this.#end = offset + 1
    for (const listener of this.listeners) listener()
  }

  read(offset: number, messages: number, bytes: number): Message[] {
    const from = Math.max(offset, this.#first)
    const read: Message[] = []
    if (from >= this.#end) return read
    let size = 0
    for (const [offset, value] of this.#stored(from, messages)) {
      const message = this.#message(offset, value)
      if (message === undefined) continue
      read.push(message)
      size += message.bytes.length
      if (size >= bytes || read.length === messages) break
    }
    if (read.length === 0) throw this.#gap(from)
    return read
  }

  /** Reads up to `end`, not up to what lmdb shows: there a commit is visible for a moment before it is durable. */
  *#stored(from: number, messages: number): Generator<[offset: number, value: Buffer]> {
    const at = (offset: number) => [this.topic, this.partition, offset]
    // Beginning a range scan costs as much as a few single look-ups, and a follower is usually no further behind than that.
    if (this.#end - from <= few) {
      for (let offset = from; offset < this.#end; offset += 1) {
        const value = this.#stores.messages.get(at(offset))
        if (value === undefined) throw this.#gap(offset)
        yield [offset, value]
      }
      return
    }
    let offset = from
    for (const { key, value } of this.#stores.messages.getRange({
      start: at(from),
      end: at(this.#end),
      // Removed messages are skipped, and the newest message is always there.
      ...(this.#bodies === undefined ? { limit: messages } : {}),
    })) {
      if (offsetOf(key) !== offset) throw this.#gap(offset)
      yield [offset++, value]
    }
  }

  /** undefined if a later event of the key removed it. */
  #message(offset: number, value: Buffer): Message | undefined {
    const message = decodeMessage({ topic: this.topic, partition: this.partition, offset }, value)
    if (!isElsewhere(value)) return message
    if (this.#bodies === undefined) throw new ServiceError('invariant_broken', `${this.topic} was erasable once`)
    const bytes = this.#bodies.read(offset)
    return bytes && { ...message, bytes }
  }

  /** Handles a file found at the start: removes it if no transaction refers to it, or if its event is expired or superseded. */
  #found(offset: number): void {
    const value = this.#stores.messages.get([this.topic, this.partition, offset])
    if (value !== undefined) this.supersede({ offset, key: keyOf(value) })
    else this.#bodies?.remove(offset)
  }

  seek(time: number): number {
    return firstAtOrAfter(time, this.#first, this.#end, (offset) => {
      const value = this.#stores.messages.get([this.topic, this.partition, offset])
      if (value === undefined) throw this.#gap(offset)
      return timestampOf(value)
    })
  }

  expire(time: number): void {
    this.#first = this.seek(time)
  }

  /** The number of messages that are expired and still stored. */
  get expired(): number {
    return this.#first - this.#oldestStored
  }

  /** Deletes up to `count` expired messages. Call this inside a transaction. Their bytes leave the file when it reuses the pages. */
  putDeletions(count: number): void {
    const to = Math.min(this.#first, this.#oldestStored + count)
    for (let offset = this.#oldestStored; offset < to; offset += 1) {
      this.#stores.messages.remove([this.topic, this.partition, offset])
      this.#bodies?.remove(offset)
    }
    this.#stores.floors.put([this.topic, this.partition], to)
    this.#oldestStored = to
  }

  #gap(offset: number): ServiceError {
    return new ServiceError('invariant_broken', `${this.topic}/${this.partition} has no message ${offset}`)
  }
}

function offsetOf(key: Key): number {
  const offset = Array.isArray(key) ? key[2] : undefined
  if (typeof offset !== 'number') throw new ServiceError('invariant_broken', 'a stored message has no offset')
  return offset
}
