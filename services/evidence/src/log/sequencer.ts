import { encodeBase64url, otherSpellingOf } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { after } from '@bailiwick/kit'
import { leafHash } from '@bailiwick/tlog'
import type { LeafIndex } from '../index/leaf-index.ts'
import type { Log, Published } from './log.ts'
import type { Consumed } from './tree-head.ts'

/** A place on the bus whose message is in the log, or is parked there. */
export interface Place {
  topic: string
  partition: number
  offset: number
}

export interface SequencerOptions {
  log: Log
  index: LeafIndex
  /** ms since some moment; never goes back. */
  monotonic: () => number
  /** The log can no longer be written: the process must stop, and recover at its start. */
  onFatal: (error: unknown) => void
  onPublished?: (checkpoint: Published, leaves: number) => void
  /** The time between the starts of two batches while more keeps coming, and the rest between publications. In ms; at most 500. */
  paceMs?: number
  /** How many leaves may wait, over all partitions. */
  maxWaiting?: number
}

const defaults = { paceMs: 200, maxWaiting: 32_768 }

interface Waiting {
  bytes: Uint8Array
  key: string
  place: Place
  index: PromiseWithResolvers<number>
}

/** A turn of the event loop. All callers that were answered together can act before the next batch is cut. */
const aTurn = () => new Promise(setImmediate)

/** The leaves of one batch. Limits how much a start after a crash may have to remove, and how long a checkpoint takes. */
const batchLeaves = 8192
/** How many leaves may be entered before the tree, readers and the index have them. Beyond that the log waits for them. */
const mostUnpublished = 2 * batchLeaves
/** Fewer leaves than this wait for others until so many ms after the last batch began: a batch costs a flush here, and one of the bus. */
const [few, gatherMs] = [64, 50]
/** How many bytes may wait, over all partitions. */
const maxWaitingBytes = 128 * 1024 * 1024

/**
 * Gives each distinct event exactly one leaf (V2). An event that is in the log or on its way keeps its index, however often it is delivered
 * and however its signature is spelled. Leaves are entered in batches. Each batch costs one flush and is answered after it. Later the
 * entered leaves become part of the tree and are published, which costs a dozen flushes, regardless of their number. A leaf that finds the
 * log at rest is entered and published at once. Publications rest in between, since others need the disk and the processor. A few leaves that
 * come soon after others gather. While events arrive that are not sent in response to an answer, batches are paced too.
 */
export class Sequencer implements AsyncDisposable {
  readonly #options: SequencerOptions & typeof defaults
  #waiting: Waiting[] = []
  #waitingBytes = 0
  readonly #underway = new Map<string, Promise<number>>()
  readonly #consumed: Consumed
  readonly #watchers = new Set<() => void>()
  readonly #hurry = new AbortController()
  #rest = new AbortController()
  #stopping = false
  #running: Promise<void> | undefined
  #failure: ServiceError | undefined
  #lastBegan = Number.NEGATIVE_INFINITY
  /** Whether leaves arrived while the last batch was written, so that they were not sent in response to an answer. */
  #streaming = false
  /** Leaves that are entered, but still on the way into the tree, to readers and into the index. They count as under way until then. */
  #unpublished: Waiting[] = []
  #publishing: Promise<void> | undefined

  constructor(options: SequencerOptions) {
    this.#options = { ...defaults, ...options }
    this.#consumed = structuredClone(options.log.consumed)
  }

  /** Whether the log can no longer be written. */
  get failed(): boolean {
    return this.#failure !== undefined
  }

  /** Whether leaves are being written, or wait to be. */
  get busy(): boolean {
    return this.#running !== undefined
  }

  /** Offsets of the last messages that are in the log, by topic and partition. */
  get consumed(): Consumed {
    return this.#consumed
  }

  /**
   * Resolves with the leaf's index once that is final and no crash can take it back. A checkpoint over the leaf follows by itself. The
   * bytes are kept as they are. Rejects with `queue_full` if too much waits, and with `outcome_unknown` if the log cannot be written.
   */
  async add(bytes: Uint8Array, place: Place): Promise<number> {
    if (this.#failure !== undefined) throw this.#failure
    const hash = leafHash(bytes)
    const key = encodeBase64url(hash)
    const known = this.#indexOf(hash, key) ?? this.#indexOfOther(bytes)
    if (known !== undefined) {
      const index = await known
      this.cover(place)
      return index
    }
    if (this.#waiting.length >= this.#options.maxWaiting || this.#waitingBytes + bytes.length > maxWaitingBytes)
      throw new ServiceError('queue_full', 'leaves')
    const waiting = { bytes, key, place, index: Promise.withResolvers<number>() }
    this.#waiting.push(waiting)
    this.#waitingBytes += bytes.length
    const { promise } = waiting.index
    this.#underway.set(key, promise)
    promise.catch(() => this.#underway.delete(key))
    this.#running ??= this.#run()
    return promise
  }

  /** Whether the log has this event's leaf, or will have it shortly. */
  has(bytes: Uint8Array): boolean {
    return (this.#indexOf(leafHash(bytes)) ?? this.#indexOfOther(bytes)) !== undefined
  }

  #indexOf(hash: Uint8Array, key = encodeBase64url(hash)): Promise<number> | number | undefined {
    return this.#underway.get(key) ?? this.#options.index.indexOf(hash)
  }

  /** Anyone can rewrite an ECDSA signature into its other spelling. The event is the same, and keeps its leaf. */
  #indexOfOther(bytes: Uint8Array): Promise<number> | number | undefined {
    const other = otherSpellingOf(bytes)
    return other && this.#indexOf(leafHash(other))
  }

  /** Notes a message that needs no further leaf. The lock records this with the next batch. */
  cover({ topic, partition, offset }: Place): void {
    const offsets = this.#consumed[topic] ?? {}
    offsets[partition] = Math.max(offsets[partition] ?? 0, offset)
    this.#consumed[topic] = offsets
  }

  /** Resolves with the index of the event's leaf, or rejects with `deadline_exceeded` after `ms`. */
  async integrated(eventId: string, ms: number): Promise<number> {
    const find = () => this.#options.index.indexOfEvent(eventId)
    const known = find()
    if (known !== undefined) return known
    const found = Promise.withResolvers<number>()
    const watch = () => {
      const index = find()
      if (index !== undefined) found.resolve(index)
    }
    this.#watchers.add(watch)
    const late = new AbortController()
    const deadline = after(ms, late.signal).then(() => {
      throw new ServiceError('deadline_exceeded', eventId)
    })
    try {
      return await Promise.race([found.promise, deadline])
    } finally {
      late.abort()
      deadline.catch(() => undefined)
      this.#watchers.delete(watch)
    }
  }

  /** Stops pacing, so that waiting leaves are written at once. All leaves that were added are in the log when this resolves. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true
    this.#hurry.abort()
    await this.#running
    await this.#publishing
  }

  async #run(): Promise<void> {
    try {
      await aTurn()
      while (this.#waiting.length > 0) {
        await this.#pace()
        await this.#writeBatch()
        await aTurn()
      }
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#running = undefined
    }
  }

  async #pace(): Promise<void> {
    const { monotonic, paceMs } = this.#options
    if (this.#stopping || this.#waiting.length >= (this.#streaming ? batchLeaves : few)) return
    const ms = this.#streaming ? paceMs : Math.min(gatherMs, paceMs)
    await after(this.#lastBegan + ms - monotonic(), this.#hurry.signal).catch(() => undefined)
  }

  async #writeBatch(): Promise<void> {
    const { log, monotonic } = this.#options
    this.#lastBegan = monotonic()
    const batch = this.#waiting.splice(0, batchLeaves)
    const leaves = batch.map(({ bytes }) => bytes)
    for (const { bytes } of batch) this.#waitingBytes -= bytes.length
    const first = log.size
    try {
      for (const { place } of batch) this.cover(place)
      await log.enter(leaves, structuredClone(this.#consumed))
      this.#streaming = this.#waiting.length > 0
      for (const [at, waiting] of batch.entries()) waiting.index.resolve(first + at)
      this.#unpublished.push(...batch)
      // Entered leaves are safe, but the tree can no longer be written.
      if (this.#failure !== undefined) return
      this.#publishing ??= this.#publish()
      if (this.#unpublished.length >= batchLeaves) this.#rest.abort()
      if (this.#unpublished.length > mostUnpublished) await this.#publishing
    } catch (error) {
      this.#waiting = [...batch, ...this.#waiting]
      throw error
    }
  }

  /** Publishes entered leaves, as often as the disk, readers and the index can follow. */
  async #publish(): Promise<void> {
    const { log, index, onPublished } = this.#options
    try {
      while (this.#unpublished.length > 0) {
        const published = await log.publish()
        const batch = this.#unpublished.splice(0, published.size - index.size)
        onPublished?.(published, batch.length)
        const leaves = batch.map(({ bytes }) => bytes)
        await index.add(leaves, published)
        for (const { key } of batch) this.#underway.delete(key)
        for (const watch of this.#watchers) watch()
        await this.#rested()
      }
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#publishing = undefined
    }
  }

  /** Rests, but not while so many leaves wait that there is no time for it. */
  async #rested(): Promise<void> {
    if (this.#stopping || this.#unpublished.length >= batchLeaves) return
    this.#rest = new AbortController()
    const signal = AbortSignal.any([this.#rest.signal, this.#hurry.signal])
    await after(this.#options.paceMs, signal).catch(() => undefined)
  }

  /** A batch that was under way when another write failed also ends here, with its own failure. */
  #fail(error: unknown): void {
    const isFirst = this.#failure === undefined
    this.#failure ??= new ServiceError('outcome_unknown', 'the log cannot be written', { cause: error })
    for (const { index } of this.#waiting) index.reject(this.#failure)
    this.#waiting = []
    if (isFirst) this.#options.onFatal(error)
  }
}
