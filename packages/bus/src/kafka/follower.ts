import { setImmediate as nextTurn } from 'node:timers/promises'
import { errorCode, ServiceError } from '@bailiwick/errors'
import type { FollowSubscription, Message, Since } from '../bus.ts'
import type { Fetched, FetchedPartition, Led, Link } from './cluster-link.ts'
import { failureOf, reasonOf } from './failure.ts'
import { Pause } from './pause.ts'

/** A call of the handler gets at most this many messages. */
const BATCH_MESSAGES = 256

// Kafka's codes that a fetch can give for one partition. Every other code means: look up the leaders again.
const NONE = 0
const OFFSET_OUT_OF_RANGE = 1
const TOPIC_AUTHORIZATION_FAILED = 29

interface Reader {
  readonly topic: string
  readonly partition: number
  leader: number
  /** Every message before this was handled; undefined until the partition's start is known. */
  next: number | undefined
  /** No record exists between `next` and this offset. */
  reached: number
  /** Where the partition ended when the follower began. */
  target: number
  /** The broker gave records, or an empty answer, for `next`. From then on nothing may be skipped. */
  begun: boolean
}

/** The life of one link, up to its first error. */
interface Round {
  over: boolean
  /** Whether it waited before it ended. */
  paused: boolean
}

export interface FollowerOptions {
  topics: readonly string[]
  since: Since
  handler: (batch: readonly Message[]) => Promise<void>
  /** Opens a new link, beginning with another broker each time. */
  openLink: () => Link
  /** Called with the reason when a link was given up. */
  onTrouble: (reason: string) => void
  /** Called with the reason when the broker revokes a right that the follower had, and with undefined when the follower reads again. */
  onForbidden?: (reason: string | undefined) => void
}

/**
 * Reads all partitions without a group, with one long poll per broker at a time (KAFKA.md rule 13), and passes the messages to the
 * handler in one call at a time. The messages of a poll are handled before that broker is asked again, so a slow handler holds
 * one answer per broker, regardless of the backlog. After any error the link is thrown away and another one is opened at the
 * handled offsets. So a dead broker, a frozen one and a moved leader are handled alike.
 */
export class Follower implements FollowSubscription {
  readonly #options: FollowerOptions
  readonly #pause = new Pause()
  readonly #started = Promise.withResolvers<void>()
  readonly #caughtUp = Promise.withResolvers<void>()
  readonly #failed = Promise.withResolvers<never>()
  readonly #stop = Promise.withResolvers<void>()
  readonly #closing = new Set<Promise<void>>()
  readonly #loop: Promise<void>
  #readers: Reader[] | undefined
  #calls: Promise<void> = Promise.resolve()
  #isCaughtUp = false
  #isForbidden = false
  #stopped = false

  constructor(options: FollowerOptions) {
    this.#options = options
    for (const { promise } of [this.#started, this.#caughtUp]) promise.catch(() => {}) // `failed` reports the error
    this.#loop = this.#run()
  }

  /** Resolves once the begin and the end of each partition are known. `caughtUp` refers to these ends. */
  get started(): Promise<void> {
    return this.#started.promise
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

  /** Resolves when its connections are closed as well. */
  async released(): Promise<void> {
    await this.#loop
    await Promise.all(this.#closing)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(new ServiceError('bus_unavailable', 'the follower ended before it was caught up'))
    await this.#loop
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      await this.#calls // a call of the last round may still run: what is read meanwhile would accumulate behind it
      if (this.#stopped) break
      const round: Round = { over: false, paused: false }
      const progressed = await this.#round(round)
      if (progressed) this.#pause.reset()
      if (!round.paused && !this.#stopped) await this.#pause.wait()
    }
    await this.#calls
  }

  /** Resolves when the link can no longer be used, with whether it read anything. */
  async #round(round: Round): Promise<boolean> {
    const link = this.#options.openLink()
    const before = this.#place()
    try {
      await Promise.race([this.#read(link, round), this.#stop.promise])
    } catch (error) {
      this.#judge(error)
    } finally {
      round.over = true
      this.#close(link)
    }
    return this.#place() > before
  }

  async #read(link: Link, round: Round): Promise<void> {
    const readers = await this.#locate(link)
    this.#started.resolve()
    this.#checkCaughtUp()
    const byLeader = Map.groupBy(readers, ({ leader }) => leader)
    const poll = async (led: readonly Reader[]) => {
      try {
        await this.#poll(link, round, led)
      } catch (error) {
        // Until then the other brokers are still read: a dead broker does not delay the messages of the living ones.
        round.paused = true
        await this.#pause.wait()
        throw error
      }
    }
    await Promise.all([...byLeader.values()].map(poll))
  }

  /** Finds the leaders and, the first time, where to begin and what to catch up with. */
  async #locate(link: Link): Promise<Reader[]> {
    const { topics, since } = this.#options
    const led = await link.leaders(topics)
    this.#readers ??= led.map((one) => ({ ...one, next: undefined, reached: 0, target: -1, begun: false }))
    const readers = this.#readers
    for (const { topic, partition, leader } of led) {
      const reader = readers.find((one) => one.topic === topic && one.partition === partition)
      if (reader !== undefined) reader.leader = leader
    }
    const fresh = readers.filter(({ next }) => next === undefined)
    if (fresh.length > 0) {
      // Ask for the ends first: messages that arrive between the two questions are then read, even if their timestamps are old.
      const ends = await link.offsets(fresh, 'latest')
      const starts = await link.offsets(fresh, since === 'start' ? 'earliest' : { time: since.time })
      const needsFirst = since !== 'start' && (since.orLast || since.offsets)
      const firsts = needsFirst ? await link.offsets(fresh, 'earliest') : ends
      for (const [n, reader] of fresh.entries()) {
        const end = ends[n] ?? 0
        if (reader.target < 0) reader.target = end
        reader.next = beginIn(reader, since, { start: starts[n] ?? end, first: firsts[n] ?? end, end })
      }
    }
    return readers
  }

  async #poll(link: Link, round: Round, readers: readonly Reader[]): Promise<void> {
    for (let turn = 0; !round.over && !this.#stopped; turn += 1) {
      // Begin with a different partition each time, so that a long backlog in one does not starve the others.
      const first = turn % readers.length
      const order = [...readers.slice(first), ...readers.slice(0, first)]
      const fetched = await link.fetch(order.map((reader) => ({ ...placed(reader) })))
      const call = this.#calls.then(() => this.#take(fetched, readers, round))
      this.#calls = call.catch(() => {})
      await call
    }
  }

  /** Passes on the messages of a poll. Runs alone. Throws what must end the round or the follower. */
  async #take(fetched: Fetched, readers: readonly Reader[], round: Round): Promise<void> {
    const found: [Reader, FetchedPartition][] = []
    for (const part of fetched.partitions) {
      const reader = readers.find(({ topic, partition }) => topic === part.topic && partition === part.partition)
      if (reader !== undefined && part.errorCode === NONE) found.push([reader, part])
    }
    const messages = found.flatMap(([reader, part]) => messagesOf(reader, part))
    for (let at = 0; at < messages.length && !round.over && !this.#stopped; at += BATCH_MESSAGES) {
      const batch = messages.slice(at, at + BATCH_MESSAGES)
      await this.#handle(batch.map(({ message }) => message))
      for (const { reader, message } of batch) reader.next = message.offset + 1
      this.#checkCaughtUp()
      await nextTurn() // a long backlog with a quick handler must not block the rest of the process
    }
    if (round.over || this.#stopped) return
    for (const [reader, { batches, highWatermark }] of found) {
      reader.begun = true
      // Compaction leaves holes, also at the end of a fetched range. The batch headers tell how far the range goes (rule 14).
      reader.next = Math.max(reader.next ?? 0, batches.at(-1)?.end ?? 0)
      if (this.#isForbidden) this.#forbidden(undefined)
      if (fetched.empty) reader.reached = Math.max(reader.reached, highWatermark)
    }
    this.#checkCaughtUp()
    for (const part of fetched.partitions) this.#checkError(part, readers)
  }

  async #handle(batch: readonly Message[]): Promise<void> {
    try {
      await this.#options.handler(batch)
    } catch (error) {
      this.#fail(error)
      throw error
    }
  }

  #checkError({ topic, partition, errorCode: code }: FetchedPartition, readers: readonly Reader[]): void {
    if (code === NONE) return
    const place = `${topic}/${partition}`
    if (code === TOPIC_AUTHORIZATION_FAILED) {
      throw Object.assign(new Error(`no right to read ${topic}`), { type: 'TOPIC_AUTHORIZATION_FAILED' })
    }
    if (code === OFFSET_OUT_OF_RANGE) {
      const reader = readers.find((one) => one.topic === topic && one.partition === partition)
      // Retention removed the start while the follower was starting. Nothing was skipped: it begins where the partition begins now.
      if (reader?.begun === false) reader.next = undefined
      else this.#fail(new ServiceError('bus_unavailable', `${place}: what follows ${reader?.next} is gone`))
    }
    throw new Error(`${place}: Kafka error ${code}`)
  }

  /**
   * Ends the follower after an error that waiting cannot heal. A right that it never had is such an error. A right that it had and lost may
   * come back. Meanwhile the reader is not fresh, and denies.
   */
  #judge(error: unknown): void {
    if (this.#stopped) return
    if (failureOf(error) === 'forbidden') {
      if (this.#isCaughtUp) this.#forbidden(reasonOf(error))
      else this.#fail(new ServiceError('bus_unavailable', reasonOf(error), { cause: error }))
    } else if (errorCode(error) !== 'internal') this.#fail(error)
    else this.#options.onTrouble(reasonOf(error)) // includes kafkajs's own bugs: the next link is a fresh start
  }

  #checkCaughtUp(): void {
    const caughtUp = this.#readers?.every(({ next, reached, target }) => Math.max(next ?? -1, reached) >= target)
    if (!caughtUp) return
    this.#isCaughtUp = true
    this.#caughtUp.resolve()
  }

  #forbidden(reason: string | undefined): void {
    this.#isForbidden = reason !== undefined
    this.#options.onForbidden?.(reason)
  }

  /** A number that grows with everything that is read. */
  #place(): number {
    return (this.#readers ?? []).reduce((sum, { next, reached }) => sum + (next ?? 0) + reached, 0)
  }

  #close(link: Link): void {
    const closing = link
      .close()
      .catch(() => {})
      .finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }

  #fail(error: unknown): void {
    if (this.#stopped) return // its owner disposed of it, so the error has no receiver
    this.#end(error)
    this.#failed.reject(error)
  }

  #end(reason: unknown): void {
    this.#stopped = true
    this.#stop.resolve()
    this.#pause.end()
    this.#started.reject(reason)
    this.#caughtUp.reject(reason)
  }
}

/** `start`: where `since` alone would begin. `first`: the first message that is kept. */
function beginIn(
  { topic, partition }: Reader,
  since: Since,
  { start, first, end }: { start: number; first: number; end: number },
): number {
  if (since === 'start') return Math.min(start, end)
  const offset = since.offsets?.[topic]?.[partition]
  if (offset !== undefined) return Math.min(Math.max(first, offset), end)
  // With `orLast` the last message, if retention left one.
  return Math.min(start, since.orLast ? Math.min(end, Math.max(first, end - 1)) : end)
}

function placed({ topic, partition, leader, next }: Reader): Led & { offset: number } {
  return { topic, partition, leader, offset: next ?? 0 }
}

/** The messages not yet passed to the handler, in order. A batch begins where it was written, often before the requested offset. */
function messagesOf(
  reader: Reader,
  { topic, partition, batches }: FetchedPartition,
): { reader: Reader; message: Message }[] {
  const found: { reader: Reader; message: Message }[] = []
  let next = reader.next ?? 0
  for (const { records, end } of batches) {
    for (const { offset, timestamp, key, bytes } of records) {
      if (offset < next || offset >= end) continue
      found.push({ reader, message: { topic, partition, offset, key, bytes, timestamp } })
      next = offset + 1
    }
  }
  return found
}
