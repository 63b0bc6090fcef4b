import { setTimeout as pause } from 'node:timers/promises'
import type { DecodedEvent, ServiceName } from '@bailiwick/contracts'
import { errorCode, errorKinds, ServiceError } from '@bailiwick/errors'
import { type Leader, takeoverMs } from '@bailiwick/projection'
import type { HeadPublisher } from './head-publisher.ts'
import type { Projection, Time } from './projection.ts'

/** `succeeds`: the instance that was silent for too long; undefined when it stopped in order, or when there was none. */
export type Standing = { active: true; succeeds: string | undefined } | { active: false; reason: string }

export interface SuccessionOptions {
  service: ServiceName
  /** This instance. */
  producer: string
  projection: Projection
  heads: HeadPublisher
  /** The topics that the service writes. */
  writes: readonly string[]
  time: Time
  /**
   * Takes a resource that only one instance may have. Called before each claim; the resource is given back when the claim is void or the
   * work has ended. Throws while the resource is taken: this instance then goes on standing by.
   */
  hold?: () => Promise<AsyncDisposable>
  onStanding?: (standing: Standing) => void
  /** This instance must stop: it was succeeded, or could not begin the active instance's work. */
  onFatal: (error: unknown) => void
}

/**
 * How long the active instance acts after it began to publish the last head that certainly kept its place. Shorter than `takeoverMs`, which
 * others wait from when they heard that head. So it stops before they begin, and its pending writes have the remaining time to arrive.
 */
const leaseMs = 2500
/** In a longer gap between its own heads on the topic, the bus may have taken no heads at all. Silence of others then proves nothing. */
const gapMs = 1500
const lookEveryMs = 100
const againAfterMs = 300
const readWithinMs = 5000
/** How long a stop waits for an attempt to become the active one. */
const attemptMs = 10_000

/**
 * Whether this instance is the active one of its service, and when it becomes so (docs/decisions/0012; the table of states is in 0063).
 * Knows no keys and no bus. Disposing ends the active instance's work before its last head says that it stops, because the next instance
 * begins at that head.
 */
export class Succession implements AsyncDisposable {
  readonly #options: SuccessionOptions
  readonly #work: () => Promise<AsyncDisposable | undefined>
  readonly #owned = new AsyncDisposableStack()
  #state: 'standby' | 'claiming' | 'taking over' | 'active' | 'succeeded' = 'standby'
  #reason = 'it has just started'
  /** What kept it from becoming the active one when it last tried. */
  #obstacle: string | undefined
  #attempt: Promise<void> | undefined
  #notBefore = 0
  /** How long the active instance has been silent on the topic while this instance published heads, by the bus's times, ms. */
  #silentMs: number
  /** The time up to which the silence is measured, ms since the epoch: when the bus took the newest head of either instance. */
  #silentUpTo: number | undefined
  /** When this instance heard the last head that kept the active instance's place, monotonic ms. */
  #heardAt: number
  #shown: string | undefined = 'nothing yet'
  /** Why the active instance's work could not begin yet. */
  #lapse: string | undefined
  #closed = false
  #stop: () => void = () => undefined

  /** `work`: the active instance's work, begun once this instance is active and knows everything that its predecessors wrote. */
  constructor(options: SuccessionOptions, work: () => Promise<AsyncDisposable | undefined>) {
    this.#options = options
    this.#work = work
    const { time, projection, service } = options
    const leader = projection.heads.leader(service)
    this.#silentMs = leader ? time.now() - leader.takenAt : 0
    this.#heardAt = time.monotonic() - this.#silentMs
  }

  /** Whether its heads say that it is active. */
  get speaksAsActive(): boolean {
    return this.#state === 'claiming' || this.mayPublish
  }

  /** Whether it is the active instance, by everything that it has read. */
  get mayPublish(): boolean {
    return this.#state === 'taking over' || this.#state === 'active'
  }

  /** Why it may not publish now, even if it was the active instance a moment ago; undefined while it may. */
  silenced(): string | undefined {
    if (!this.mayPublish) return this.#reason
    const { time, heads } = this.#options
    if (time.monotonic() - heads.provedAt() <= leaseMs) return undefined
    return `no head of its own came back from the bus for ${leaseMs / 1000} s: it waits for one`
  }

  /** Why it may not answer now; undefined while it may. Ask before each act. */
  standby(): string | undefined {
    return this.#state === 'taking over' ? (this.#lapse ?? 'it is taking over') : this.silenced()
  }

  /**
   * Begins to watch. If no other instance is active, this one is active when it resolves. Rejects if this instance has a fault of its own.
   */
  async open(): Promise<void> {
    const { projection } = this.#options
    const unsubscribe = projection.onFact(({ topic, event, takenAt }) => {
      if (topic === 'heads.v1') this.#hear(event as DecodedEvent<'heads.v1'>, takenAt)
    })
    const timer = setInterval(() => this.#look(), lookEveryMs)
    this.#stop = () => {
      clearInterval(timer)
      unsubscribe()
    }
    if (this.#mayClaim()) await this.#once((error) => Promise.reject(error))
    this.#show()
  }

  #hear({ data, source }: DecodedEvent<'heads.v1'>, takenAt: number): void {
    const { service, producer, projection, time } = this.#options
    if (data.service !== service) return
    const leader = projection.heads.leader(service)
    if (this.mayPublish && leader !== undefined && leader.producer !== producer) this.#stepDown(leader.producer)
    if (source === producer) this.#measureSilence(takenAt)
    // A void or repeated head keeps no place. A thief who sent such heads could otherwise keep all others from following a dead instance.
    else if (source === leader?.producer && takenAt === leader.takenAt) {
      this.#silentMs = 0
      this.#silentUpTo = takenAt
      this.#heardAt = time.monotonic()
      this.#obstacle = undefined
    }
    if (this.#state === 'standby' && this.#mayClaim()) this.#try()
  }

  /** Measured by the topic's times, so it does not matter how late this instance reads them. */
  #measureSilence(takenAt: number): void {
    if (this.#silentUpTo !== undefined) {
      const ms = takenAt - this.#silentUpTo
      this.#silentMs = ms > gapMs ? 0 : this.#silentMs + ms
    }
    this.#silentUpTo = takenAt
  }

  #look(): void {
    this.#show()
    if (this.#state === 'standby' && this.#mayClaim()) this.#try()
  }

  /**
   * Only a guess, for claiming at the right moment. The order of heads on the topic decides. The silence must be long enough by this
   * instance's clock too: the bus's clock may leap, while the active instance measures how long it may act by its own clock.
   */
  #mayClaim(): boolean {
    const { projection, service, producer, time } = this.#options
    const leader = projection.heads.leader(service)?.producer
    if (leader === undefined || leader === producer) return true
    return Math.min(this.#silentMs, time.monotonic() - this.#heardAt) >= takeoverMs
  }

  #try(): void {
    if (this.#options.time.monotonic() < this.#notBefore) return
    void this.#once(async (error) => this.#options.onFatal(error))
  }

  /** Makes one attempt at a time. `failed` gets errors that do not pass by themselves. */
  #once(failed: (error: unknown) => Promise<void>): Promise<void> {
    this.#attempt ??= this.#claim()
      .catch((error: unknown) => {
        if (this.#state !== 'standby' || !passes(error)) return failed(error)
        this.#obstacle = `it cannot become the active one yet: ${messageOf(error)}`
      })
      .finally(() => {
        this.#attempt = undefined
        this.#show()
      })
    return this.#attempt
  }

  async #claim(): Promise<void> {
    const { service, producer, projection, heads, writes, hold, time, onStanding } = this.#options
    this.#notBefore = time.monotonic() + againAfterMs
    await using taken = new AsyncDisposableStack()
    const held = await hold?.()
    if (held) taken.use(held)
    // Its heads name the last event that counts in each topic, by any writer, so it must have read that event.
    await projection.readToEnds([...writes, 'heads.v1'], readWithinMs)
    if (!this.#mayClaim()) return
    this.#state = 'claiming'
    const before = projection.heads.leader(service)
    await heads.now()
    await this.#untilJudged(before)
    this.#state = projection.heads.leader(service)?.producer === producer ? 'taking over' : 'standby'
    if (this.#state === 'standby') return
    this.#owned.use(taken.move())
    const work = await this.#begin()
    if (work) this.#owned.use(work)
    if (!this.mayPublish || this.#closed) return
    this.#state = 'active'
    this.#shown = undefined
    onStanding?.({ active: true, succeeds: before?.producer === producer ? undefined : before?.producer })
  }

  /**
   * Waits until the claim is judged, even if it is read back late. Meanwhile no head of this instance may say that it is not active: that
   * would give up the claimed place, and leave it empty.
   */
  async #untilJudged(before: Leader | undefined): Promise<void> {
    const { projection, service } = this.#options
    const isJudged = () => {
      const leader = projection.heads.leader(service)
      // The predecessor stopped. The claim, or the next head of this instance, takes the empty place.
      if (leader === undefined) return undefined
      // The claim counts, another instance was first, or the predecessor kept its place.
      return leader.producer !== before?.producer || leader.takenAt !== before.takenAt ? true : undefined
    }
    await projection.until(isJudged, takeoverMs)
  }

  /**
   * Begins the work, after reading the events that its predecessor wrote while this instance claimed its place. Retries while the obstacle
   * can pass by itself, and answers no caller meanwhile. If another instance claims the place during that time, this instance stops, as
   * it would later.
   */
  async #begin(): Promise<AsyncDisposable | undefined> {
    const { projection, writes } = this.#options
    for (;;) {
      try {
        await projection.readToEnds(writes, readWithinMs)
        return await this.#work()
      } catch (error) {
        if (this.#closed) return undefined
        if (!this.mayPublish || !passes(error)) throw error
        this.#lapse = `it is taking over, and tries again: ${messageOf(error)}`
        this.#show()
        await pause(againAfterMs)
      }
    }
  }

  /** Its state may be an old branch of a history that goes on without it. A restart reads everything again, and stands by. */
  #stepDown(leader: string): void {
    this.#state = 'succeeded'
    this.#reason = `${leader} took over`
    const what = `${leader} took over: this instance stops, and stands by once it is started again`
    this.#options.onFatal(new ServiceError('service_standby', what))
  }

  #show(): void {
    const { projection, service, producer, onStanding } = this.#options
    const leader = projection.heads.leader(service)?.producer
    if (this.#state === 'claiming' || (this.#state === 'taking over' && this.#lapse === undefined)) return
    if (this.#state === 'standby' && this.#obstacle !== undefined) this.#reason = this.#obstacle
    else if (this.#state === 'standby' && leader !== undefined && leader !== producer)
      this.#reason = `${leader} is the active one`
    const reason = this.standby()
    if (reason === this.#shown) return
    this.#shown = reason
    onStanding?.(reason === undefined ? { active: true, succeeds: undefined } : { active: false, reason })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.#stop()
    // Do not wait for an unavailable bus: disposing of the bus ends the attempt.
    await Promise.race([this.#attempt, pause(attemptMs, undefined, { ref: false })])
    await this.#owned.disposeAsync()
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : errorCode(error))

/** Whether the error passes by itself, or once another process gives way. Any other error is a fault of this instance. */
function passes(error: unknown): boolean {
  const code = errorCode(error)
  return errorKinds[code].retryable || code === 'log_locked'
}
