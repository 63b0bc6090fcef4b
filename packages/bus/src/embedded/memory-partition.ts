import type { Message } from '../bus.ts'
import { firstAtOrAfter, type PartitionLog } from './partition-log.ts'

const KEPT_MESSAGES = 1024

/** A partition that exists only in this process's memory and keeps its newest messages. For heads, which only matter while new. */
export class MemoryPartition implements PartitionLog {
  readonly topic: string
  readonly partition: number
  readonly listeners = new Set<() => void>()
  #messages: Message[] = []
  #end = 0
  #lastTimestamp = 0

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  get end(): number {
    return this.#end
  }

  get first(): number {
    return this.#end - this.#messages.length
  }

  append(key: string, bytes: Uint8Array, now: number): number {
    const offset = this.#end
    const timestamp = Math.max(now, this.#lastTimestamp)
    this.#lastTimestamp = timestamp
    this.#messages.push({
      topic: this.topic,
      partition: this.partition,
      offset,
      timestamp,
      key,
      bytes: new Uint8Array(bytes),
    })
    // Cut in bulk: a shift for each message would copy the whole ring each time.
    if (this.#messages.length >= 2 * KEPT_MESSAGES) this.#messages = this.#messages.slice(-KEPT_MESSAGES)
    this.#end = offset + 1
    for (const listener of this.listeners) listener()
    return offset
  }

  read(offset: number, messages: number, bytes: number): Message[] {
    const from = Math.max(0, offset - this.first)
    const read: Message[] = []
    let size = 0
    for (const message of this.#messages.slice(from, from + messages)) {
      read.push(message)
      size += message.bytes.length
      if (size >= bytes) break
    }
    return read
  }

  seek(time: number): number {
    const { first } = this
    return firstAtOrAfter(time, first, this.#end, (offset) => this.#messages[offset - first]?.timestamp ?? 0)
  }

  expire(time: number): void {
    this.#messages = this.#messages.slice(this.seek(time) - this.first)
  }
}
