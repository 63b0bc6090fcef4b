import { setTimeout as pause } from 'node:timers/promises'
import type { Bus, FollowSubscription, Message, PartitionOffsets, Position, Since } from '@bailiwick/bus'
import type { DecodedEvent, TopicName } from '@bailiwick/contracts'
import { type KeyRing, sha256 } from '@bailiwick/credentials'
import { type ErrorCode, errorCode, ServiceError } from '@bailiwick/errors'
import {
  type Fact,
  Heads,
  hasFolded,
  inTurn,
  type JudgeChange,
  Ledger,
  revokedUpTo,
  type SignedEvent,
  signedEvent,
  type Verdict,
} from '@bailiwick/projection'
import { SeenEvents } from './seen-events.ts'
import type { Mark, Marks } from './snapshots/same-history.ts'
import type { Cut, Snapshot } from './snapshots/snapshots.ts'
import { verifiedAhead } from './verified-ahead.ts'
import { Waiters } from './waiters.ts'

export interface Time {
  /** ms since the epoch. */
  now(): number
  /** ms of a clock that never goes back. */
  monotonic(): number
}

export interface ProjectionOptions {
  bus: Bus
  /** The topics to follow in addition to `registry.v1` and `heads.v1`, which every reader needs. */
  topics: readonly TopicName[]
  keyRing: KeyRing
  judge: JudgeChange
  time: Time
  /** How far back to read topics other than the registry and the revocations. Nothing outlives 8 h. */
  lookbackMs?: number
  /** `BAILIWICK_MAX_STALENESS`: how old the active issuer's newest head may be. */
  maxStalenessMs?: number
  /** The snapshot to begin with, instead of the events that it was made from. */
  from?: Snapshot | undefined
  /** Called if `from` cannot be read. Then everything is read. */
  onMalformed?: (error: unknown) => void
  /** Called for each event that can never count here: undecodable, badly signed, or from the wrong service. */
  onRefused?: (message: Message, code: ErrorCode) => void
}

/** How far back a start reads. Nothing outlives 8 h. */
export const lookbackMs = 9 * 3600 * 1000
const defaults = { lookbackMs, maxStalenessMs: 2000 }
/**
 * Revocations are few, and their one sequence never restarts. A reader that saw none in the last hours would count again from 1. Everything
 * that such an issuer then revokes would be void for readers with the full sequence (V7).
 */
const readFromTheStart: ReadonlySet<string> = new Set(['registry.v1', 'revocations.v1'])
/** No snapshot holds anything of these topics. */
const readAnew: ReadonlySet<string> = new Set(['registry.v1', 'heads.v1'])
/** While an event of an unknown key waits, how often to check whether the registry is read to its end (in addition to after each event). */
const keyWaitMs = 5000

/** The pause before an unavailable bus is asked again, ms. */
const askAgainMs = 500

/** Follows topics and folds them into a `Ledger`. Knows how far it has read and whether its state is proved fresh. */
export class Projection implements AsyncDisposable {
  readonly ledger: Ledger
  readonly heads = new Heads()
  readonly #options: ProjectionOptions & typeof defaults
  readonly #topics: ReadonlySet<string>
  /** ms since the epoch. Events that the bus took earlier only show how their producer's chain ended (V15). */
  #since: number
  /** The newest message of each partition, or its hash, for the next reader to know the history by. */
  readonly #newest = new Map<string, ({ offset: number; bytes: Uint8Array } | Mark | undefined)[]>()
  /** Messages whose folding has begun and not ended. It stays above 0 when one failed: the state is of no use then. */
  #folding = 0
  readonly #handled = new Map<string, number[]>()
  readonly #lastCounted = new Map<string, Map<number, { offset: number; id: string }>>()
  readonly #seen = new SeenEvents()
  readonly #waiters = new Waiters()
  /** The exact bytes that this process signed and has not read back yet. They need no second verification. */
  readonly #own = new Map<string, Uint8Array>()
  readonly #listeners = new Set<(fact: Fact) => void>()
  readonly #subscriptions: FollowSubscription[] = []
  #closed = false

  private constructor(options: ProjectionOptions) {
    // Not the snapshot, which holds its whole file.
    this.#options = { ...defaults, ...options, from: undefined }
    this.#since = options.time.now() - this.#options.lookbackMs
    this.#topics = new Set<string>(['registry.v1', 'heads.v1', ...options.topics])
    this.ledger = new Ledger({ judge: options.judge, base: true })
  }

  /**
   * Resolves when everything that was there is folded. The registry is folded first, because it certifies the keys for all other topics.
   */
  static async open(options: ProjectionOptions): Promise<Projection> {
    const projection = await Projection.#begun(options)
    try {
      const offsets = projection.#next()
      // The registry is always read whole: trust never comes from a file (decision 86).
      await projection.#follow(['registry.v1'], 'start')
      if (projection.follows('revocations.v1')) await projection.#follow(['revocations.v1'], { time: 0, offsets })
      const others = [...projection.#topics].filter((topic) => !readFromTheStart.has(topic))
      await projection.#follow(others, { time: projection.#since, orLast: true, offsets })
      return projection
    } catch (error) {
      await projection[Symbol.asyncDispose]()
      throw error
    }
  }

  static async #begun(options: ProjectionOptions): Promise<Projection> {
    const projection = new Projection(options)
    if (options.from === undefined) return projection
    try {
      await projection.#restore(options.from)
      return projection
    } catch (error) {
      options.onMalformed?.(error)
      return new Projection(options)
    }
  }

  async #restore({ since, forgottenUpTo, marks, counted, rows }: Snapshot): Promise<void> {
    this.#since = since
    this.ledger.forgottenUpTo = forgottenUpTo
    for (const [topic, partitions] of Object.entries(marks)) {
      if (topic === 'registry.v1' || !this.#topics.has(topic)) continue
      this.#newest.set(topic, [...partitions])
      for (const [partition, { offset }] of partitions.entries()) this.#handle({ topic, partition, offset })
    }
    for (const [topic, partitions] of Object.entries(counted))
      for (const [partition, { offset, id }] of Object.entries(partitions))
        this.#count({ topic, partition: Number(partition), offset }, id)
    const restore = this.ledger.restorer()
    for await (const row of rows()) if (!this.#seen.restore(row)) restore(row)
  }

  /** The offset behind the last message read, where one was read. */
  #next(): PartitionOffsets {
    return Object.fromEntries(
      [...this.#handled].map(([topic, offsets]) => [
        topic,
        Array.from(offsets, (offset: number | undefined) =>
          offset === undefined || offset < 0 ? undefined : offset + 1,
        ),
      ]),
    )
  }

  /** The last message read of each partition. */
  marks(): Marks {
    const marks: Record<string, Mark[]> = {}
    // The order does not depend on how this reader learned its state, so equal states give equal text.
    for (const topic of [...this.#newest.keys()].sort())
      if (topic !== 'heads.v1') marks[topic] = Array.from(this.#newest.get(topic) ?? [], (each) => markOf(each))
    return marks
  }

  /**
   * Everything that was read, at this moment, for a reader that goes on from here. undefined while an event is being folded, which is never
   * between two tasks of the event loop, and after one could not be.
   */
  cut(): Cut | undefined {
    if (this.#folding > 0) return undefined
    const topics = [...this.#lastCounted.keys()].filter((topic) => !readAnew.has(topic)).sort()
    return {
      takenAt: this.#options.time.now(),
      since: this.#since,
      forgottenUpTo: this.ledger.forgottenUpTo,
      marks: this.marks(),
      counted: this.counted(topics),
      rows: inTurn(this.#seen.cut(readAnew), this.ledger.cut()),
    }
  }

  async #follow(topics: readonly string[], since: Since): Promise<void> {
    const { bus } = this.#options
    const ends = await Promise.all(topics.map((topic) => this.#onceAnswered(() => bus.ends(topic))))
    let isCatchingUp = true
    const subscription = await bus.follow(topics, since, async (batch) => {
      const verified = isCatchingUp ? verifiedAhead(this.#options.keyRing, batch) : undefined
      for (const message of batch) await this.#fold(message, await verified?.())
    })
    this.#subscriptions.push(subscription)
    await Promise.race([subscription.caughtUp, subscription.failed])
    isCatchingUp = false
    // Events older than the look-back never arrive, so nothing may wait for them.
    for (const [n, topic] of topics.entries())
      for (const [partition, end] of (ends[n] ?? []).entries())
        if (end > 0) this.#handle({ topic, partition, offset: end - 1 })
  }

  /** Waits for an unavailable bus, however long (decision 49), until this projection is disposed of. */
  async #onceAnswered<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        if (errorCode(error) !== 'bus_unavailable' || this.#closed) throw error
        await pause(askAgainMs)
      }
    }
  }

  /** Rejects when a follower failed. Its owner must then stop, or it would decide on an old state. */
  get failed(): Promise<never> {
    return Promise.race(this.#subscriptions.map(({ failed }) => failed))
  }

  /** `isVerified`: its signature was verified ahead. */
  async #fold(message: Message, isVerified = false): Promise<void> {
    const topic = message.topic as TopicName
    const outcome = await this.#judge(topic, message, isVerified)
    // The registry and the heads are in no cut, and may wait for each other.
    const isCut = !readAnew.has(topic)
    if (isCut) this.#folding++
    if (typeof outcome === 'string') {
      this.#options.onRefused?.(message, outcome)
    } else if (message.timestamp < this.#since && !readFromTheStart.has(topic)) {
      this.#chain(outcome.event, sha256(message.bytes))
    } else {
      const { event } = outcome
      const hash = sha256(message.bytes)
      const verdict = this.#seen.verdict(message, event.id, hash) ?? (await this.#apply(topic, outcome, message))
      this.#seen.remember(message, event.id, hash)
      this.#chain(event, hash)
      // An older reader, without this event type, refuses it. Heads must not name it, or that reader would be stale for good.
      if (verdict === 'counts' && event.type !== 'revocation.acknowledged') this.#count(message, event.id)
      if (verdict === 'counts' && event.type === 'service-key.retired')
        this.#options.keyRing.retire(event.data.entity.id, Date.parse(event.time), this.#options.time.now())
      // Before the waiters: a caller that learns of an event must see a position that includes it.
      this.#handle(message)
      const { bytes, timestamp: takenAt } = message
      const fact: Fact = { topic, position: message, event, verdict, bytes, takenAt }
      this.#waiters.settle(waiting(topic, event.id), verdict)
      for (const listener of this.#listeners) listener(fact)
    }
    this.#handle(message)
    if (isCut) this.#folding--
    this.#waiters.wake()
  }

  #chain({ source, sequence, time }: DecodedEvent, hash: string): void {
    if (sequence !== undefined) this.ledger.chains.apply(source, Number(sequence), hash, Date.parse(time))
  }

  async #judge(topic: TopicName, message: Message, isVerified: boolean): Promise<SignedEvent | ErrorCode> {
    const { keyRing } = this.#options
    const isSure = (id: string) => {
      if (isVerified) return true
      const own = this.#own.get(waiting(topic, id))
      return own !== undefined && Buffer.compare(own, message.bytes) === 0
    }
    const judged = signedEvent(keyRing, message, isSure)
    if (judged !== 'key_unknown' || topic === 'registry.v1') return judged
    await this.#readRegistryToItsEnd()
    const late = signedEvent(keyRing, message, isSure)
    // A stop ended the wait. Nothing says whether the event counts, so from now on no cut may name it as read.
    if (late === 'key_unknown' && this.#closed && !readAnew.has(topic)) this.#folding++
    return late
  }

  /** Waits however long that takes. An event skipped because its key was not read yet would be missing here for good. */
  async #readRegistryToItsEnd(): Promise<void> {
    // An error thrown here ends its reader, so wait for an unavailable bus instead.
    const [end = 0] = await this.#onceAnswered(() => this.#options.bus.ends('registry.v1'))
    const isRead = () => (this.handled('registry.v1', 0) >= end - 1 ? true : undefined)
    while (!this.#closed && !(await this.until(isRead, keyWaitMs)));
  }

  async #apply(topic: TopicName, { event, kid }: SignedEvent, { timestamp: takenAt }: Message): Promise<Verdict> {
    if (topic !== 'heads.v1') return this.ledger.apply(topic, event, takenAt)
    const { time } = this.#options
    const head = event as DecodedEvent<'heads.v1'>
    const { serviceKeyOrder } = this.ledger.registry
    const succeeds = (next: string, former: string) => serviceKeyOrder.succeeds(next, former)
    const leader = this.heads.leader(head.data.service)
    // The instance may have read about its new key before this reader does.
    if (leader?.producer === head.data.producer && leader.kid !== kid && !succeeds(kid, leader.kid))
      await this.#readRegistryToItsEnd()
    const hearing = { kid, takenAt, now: time.now(), monotonic: time.monotonic(), succeeds }
    return this.heads.apply(head, hearing) ? 'counts' : 'void'
  }

  #handle({ topic, partition, offset, bytes }: Position & { bytes?: Uint8Array }): void {
    const newest = this.#newest.get(topic) ?? []
    if (offset > (newest[partition]?.offset ?? -1))
      newest[partition] = bytes === undefined ? { offset } : { offset, bytes }
    this.#newest.set(topic, newest)
    const offsets = this.#handled.get(topic) ?? []
    offsets[partition] = Math.max(offsets[partition] ?? -1, offset)
    this.#handled.set(topic, offsets)
  }

  #count({ topic, partition, offset }: Position, id: string): void {
    const counted = this.#lastCounted.get(topic) ?? new Map()
    counted.set(partition, { offset, id })
    this.#lastCounted.set(topic, counted)
  }

  follows(topic: string): boolean {
    return this.#topics.has(topic)
  }

  /** The last offset handled; -1 before the first. */
  handled(topic: string, partition: number): number {
    return this.#handled.get(topic)?.[partition] ?? -1
  }

  /** In the form of a head: the last offset handled, by topic and partition. */
  positions(): Record<string, Record<string, number>> {
    return Object.fromEntries(
      [...this.#handled].map(([topic, offsets]) => [
        topic,
        // Not `map`, which skips partitions of which nothing was read yet.
        Object.fromEntries(Array.from(offsets, (o: number | undefined, p) => [String(p), o ?? -1])),
      ]),
    )
  }

  /** In the form of a head: the last event that counts in each partition of these topics. */
  counted(topics: readonly string[]): Record<string, Record<string, { offset: number; id: string }>> {
    return Object.fromEntries(
      topics.map((topic) => [
        topic,
        Object.fromEntries(
          [...(this.#lastCounted.get(topic) ?? [])].map(([partition, last]) => [String(partition), last]),
        ),
      ]),
    )
  }

  /** The offset of the last revocation that counts here; -1 before the first. */
  get revokedUpTo(): number {
    return this.#lastCounted.get('revocations.v1')?.get(0)?.offset ?? -1
  }

  /** Whether the state is proved fresh (V8): the active issuer's newest head is young, and everything that it names is folded. */
  fresh(): boolean {
    const { genesis } = this.#options.keyRing.trust
    // An issuer that left out part of the genesis is not believed at all (V3).
    if (genesis !== undefined && this.ledger.registry.taken < genesis.count) return false
    const newest = this.heads.active('issuer')
    if (!newest || this.#options.time.monotonic() - newest.receivedAt > this.#options.maxStalenessMs) return false
    const { head } = newest
    // Having read it is not enough here: a revocation that counts for the issuer but not for this reader is a stop that it would miss (V7).
    return (
      hasFolded(head, this.#topics, (topic, partition) => this.handled(topic, partition)) &&
      (!this.follows('revocations.v1') || this.revokedUpTo >= revokedUpTo(head))
    )
  }

  /** Calls back on each later event, in the order of its partition, after it was folded. Returns a function that stops this. */
  onFact(listener: (fact: Fact) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Resolves when the position is folded; rejects with `deadline_exceeded`. */
  async waitFor({ topic, partition, offset }: Position, ms: number): Promise<void> {
    const there = await this.until(() => (this.handled(topic, partition) >= offset ? true : undefined), ms)
    if (!there) throw new ServiceError('deadline_exceeded', `waiting for ${topic}/${partition}`)
  }

  /** Resolves when everything now in these topics is folded, as far as they are followed; rejects with `deadline_exceeded`. */
  async readToEnds(topics: readonly string[], ms: number): Promise<void> {
    const read = async (topic: string) => {
      const ends = await this.#options.bus.ends(topic)
      await Promise.all(ends.map((end, partition) => this.waitFor({ topic, partition, offset: end - 1 }, ms)))
    }
    await Promise.all(topics.filter((topic) => this.follows(topic)).map(read))
  }

  /**
   * The verdict on an event that was signed here and is about to be published. Call this before publishing, and do not change the bytes.
   * Rejects with `deadline_exceeded`.
   */
  async verdictOn(topic: TopicName, { id, bytes }: { id: string; bytes: Uint8Array }, ms: number): Promise<Verdict> {
    const name = waiting(topic, id)
    this.#own.set(name, bytes)
    try {
      return await this.#waiters.verdict(name, ms)
    } finally {
      this.#own.delete(name)
    }
  }

  /**
   * Resolves with the result of `check` once that is not undefined. `check` runs again after each event. Resolves with undefined when late.
   */
  until<T>(check: () => T | undefined, ms: number): Promise<T | undefined> {
    return this.#waiters.until(check, ms)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.#waiters.close()
    this.#listeners.clear()
    for (const subscription of this.#subscriptions) await subscription[Symbol.asyncDispose]()
  }
}

function markOf(newest: { offset: number; bytes: Uint8Array } | Mark | undefined): Mark {
  if (newest === undefined) return { offset: -1 }
  return 'bytes' in newest ? { offset: newest.offset, hash: sha256(newest.bytes) } : newest
}

/** Includes the topic, so that an event with the same id on another topic does not answer. */
const waiting = (topic: TopicName, eventId: string) => `${topic} ${eventId}`
