import { setImmediate as nextTurn } from 'node:timers/promises'
import { ServiceError } from '@bailiwick/errors'
import type { FollowSubscription, Message } from '../bus.ts'
import { BATCH_BYTES, BATCH_MESSAGES, type PartitionLog } from './partition-log.ts'
import { Wake } from './wake.ts'

export interface Start {
  log: PartitionLog
  offset: number
}

interface Reader {
  log: PartitionLog
  /** Every message before this offset was handled. */
  offset: number
  /** Where the log ended when the follower began. */
  target: number
}

/**
 * Reads its partitions in turn, and passes the messages to the handler in one call at a time. It holds one batch, and one
 * offset per partition, regardless of the backlog. A slow handler only makes it read later.
 */
export class Follower implements FollowSubscription {
  readonly #readers: Reader[]
  readonly #handler: (batch: readonly Message[]) => Promise<void>
  readonly #wake = new Wake()
  readonly #caughtUp = Promise.withResolvers<void>()
  readonly #failed = Promise.withResolvers<never>()
  readonly #loop: Promise<void>
  #turn = 0
  #stopped = false

  /** `broken` rejects when no more messages can be delivered. */
  constructor(starts: readonly Start[], handler: (batch: readonly Message[]) => Promise<void>, broken: Promise<never>) {
    this.#readers = starts.map(({ log, offset }) => ({ log, offset, target: log.end }))
    this.#handler = handler
    this.#caughtUp.promise.catch(() => {}) // `failed` reports the error; a caller that awaits caughtUp still gets it
    for (const { log } of this.#readers) log.listeners.add(this.#signal)
    broken.catch((error: unknown) => this.#fail(error))
    this.#loop = this.#run()
  }

  get caughtUp(): Promise<void> {
    return this.#caughtUp.promise
  }

  get failed(): Promise<never> {
    return this.#failed.promise
  }

  /** Resolves when no call is in flight and no more will come. */
  get ended(): Promise<void> {
    return this.#loop
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(new ServiceError('bus_unavailable', 'the follower ended before it was caught up'))
    await this.#loop
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      // Also between two batches: a long backlog with a quick handler must not block the rest of the process.
      await nextTurn()
      if (this.#stopped) return
      try {
        await this.#deliver()
      } catch (error) {
        this.#fail(error)
      }
    }
  }

  async #deliver(): Promise<void> {
    const { batch, reached } = this.#next()
    if (batch.length > 0) {
      await this.#handler(batch)
      for (const [reader, offset] of reached) reader.offset = offset
    }
    if (this.#readers.every(({ offset, target }) => offset >= target)) this.#caughtUp.resolve()
    if (batch.length === 0 && !this.#stopped) await this.#wake.wait()
  }

  /** Begins with another partition each time, so that a long backlog in one does not starve the others. */
  #next(): { batch: Message[]; reached: [Reader, number][] } {
    const batch: Message[] = []
    const reached: [Reader, number][] = []
    let bytes = 0
    for (let n = 0; n < this.#readers.length; n += 1) {
      const reader = this.#readers[(this.#turn + n) % this.#readers.length]
      if (reader === undefined || batch.length >= BATCH_MESSAGES || bytes >= BATCH_BYTES) break
      // Do not wait for messages that expired before they were read.
      reader.offset = Math.max(reader.offset, reader.log.first)
      const read = reader.log.read(reader.offset, BATCH_MESSAGES - batch.length, BATCH_BYTES - bytes)
      const last = read.at(-1)
      if (last === undefined) continue
      reached.push([reader, last.offset + 1])
      for (const message of read) {
        batch.push(message)
        bytes += message.bytes.length
      }
    }
    this.#turn += 1
    return { batch, reached }
  }

  readonly #signal = (): void => this.#wake.signal()

  #fail(error: unknown): void {
    if (this.#stopped) return // its owner disposed of it, so the error has no receiver
    this.#end(error)
    this.#failed.reject(error)
  }

  #end(reason: unknown): void {
    this.#stopped = true
    this.#caughtUp.reject(reason)
    for (const { log } of this.#readers) log.listeners.delete(this.#signal)
    this.#wake.signal()
  }
}
