import type { Logger, Metrics } from '@bailiwick/host'
import { after, type RandomSource } from '@bailiwick/kit'
import type { Dropped, FeedPosition, Position } from './feed-position.ts'
import type { FeedRecord, Records } from './records.ts'

/**
 * The result of a batch. `taken`: how many leaves of its beginning are done; of these, the other side will never have `refused`. Or
 * `again`: nothing was taken; try again once a back-off has passed, and not before this many ms.
 */
export type Delivered = { taken: number; refused?: number } | { again: number }

export interface Destination {
  /** The feed's name: in metrics, in findings, and as the file of its position. */
  name: string
  /** Leaves of one batch. */
  batch: number
  /** How many leaves the feed may be behind. Older leaves are dropped. */
  bound: number
  /** Called once at a time, in the order of the log. A rejection counts as `again`. Settles soon after the signal. */
  deliver(records: readonly FeedRecord[], signal: AbortSignal): Promise<Delivered>
}

export interface FeedOptions {
  destination: Destination
  records: Pick<Records, 'read' | 'size'>
  position: Pick<FeedPosition, 'read' | 'write'>
  /** Records as evidence that leaves were dropped: once, even if it is called again after a crash. */
  tellDropped: (name: string, dropped: Dropped) => Promise<void>
  metrics: Metrics
  logger: Logger
  random: RandomSource
  monotonic: () => number
  /** For tests: how often at most a position is written and a finding published, and the shortest wait after a failure. */
  paces?: Partial<typeof paces>
}

const paces = { positionMs: 1000, tellMs: 60_000, leastWaitMs: 1000, mostWaitMs: 60_000 }
/** How long an idle feed sleeps when nothing wakes it. */
const idleMs = 1000
/** After sending leaves the feed rests for this multiple of the time that it took, because the log's writer shares the thread. */
const restFactor = 3
const longestRestMs = 100
/** If the finding about dropped leaves is itself dropped, that is not reported: it would never end. */
const aboutFeeds = 'leaves.dropped'

/**
 * Passes the leaves on to one destination, in order, each at least once, from its last position. It never holds up the log or another
 * feed: it reads leaves that are already in the log, and leaves that it has not passed on wait there.
 */
export class Feed implements AsyncDisposable {
  readonly #options: FeedOptions
  readonly #paces: typeof paces
  readonly #stop = new AbortController()
  readonly #delivered: (count: number) => void
  readonly #failed: () => void
  readonly #droppedCounted: (dropped: Dropped) => void
  #wake = Promise.withResolvers<void>()
  #begun = false
  #next = 0
  #dropped: Dropped[] = []
  #written: Position | undefined
  #writtenAt = Number.NEGATIVE_INFINITY
  #toldAt = Number.NEGATIVE_INFINITY
  #failures = 0
  #unwell = false
  readonly #running: Promise<void>

  constructor(options: FeedOptions) {
    this.#options = options
    this.#paces = { ...paces, ...options.paces }
    const { metrics, destination, records } = options
    const feed = destination.name
    const lag = metrics.gauge('evidence_feed_lag_leaves', 'Leaves that a feed has not passed on', ['feed'], (gauge) =>
      gauge.set({ feed }, Math.max(0, records.size - this.#next)),
    )
    lag.set({ feed }, 0)
    const delivered = metrics.counter('evidence_feed_delivered_total', 'Leaves that a feed has passed on', ['feed'])
    const failures = metrics.counter('evidence_feed_failures_total', 'Attempts of a feed that failed', ['feed'])
    const dropped = metrics.counter('evidence_feed_dropped_total', 'Leaves that a feed will never pass on', [
      'feed',
      'reason',
    ])
    delivered.inc({ feed }, 0)
    failures.inc({ feed }, 0)
    for (const reason of ['backlog', 'refused']) dropped.inc({ feed, reason }, 0)
    this.#delivered = (count) => delivered.inc({ feed }, count)
    this.#failed = () => failures.inc({ feed })
    this.#droppedCounted = ({ reason, count }) => dropped.inc({ feed, reason }, count)
    this.#running = this.#run()
  }

  /** Tells the feed that the log may have more leaves. */
  wake(): void {
    this.#wake.resolve()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    this.wake()
    await this.#running
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted
  }

  async #run(): Promise<void> {
    while (!this.#begun && !this.#stopped) await this.#persistently(() => this.#begin())
    while (!this.#stopped) await this.#persistently(() => this.#step())
    if (this.#begun) await this.#writePosition()
  }

  /** An error never ends a feed: it logs the error, waits, and goes on. */
  async #persistently(act: () => Promise<number | undefined>): Promise<void> {
    let waitMs: number | undefined
    try {
      waitMs = await act()
    } catch (error) {
      if (!this.#stopped) waitMs = this.#backOff(error)
    }
    if (waitMs !== undefined) await after(waitMs, this.#stop.signal).catch(() => undefined)
  }

  async #begin(): Promise<undefined> {
    const { records, position, destination } = this.#options
    const found = await position.read(records.size)
    // A new destination gets the leaves within its bound. The older ones do not count as dropped.
    this.#next = found?.next ?? Math.max(0, records.size - destination.bound)
    this.#dropped = [...(found?.dropped ?? [])]
    this.#written = found
    this.#begun = true
  }

  /** Returns how long to wait before the next step. */
  async #step(): Promise<number | undefined> {
    const { records, destination, monotonic } = this.#options
    await this.#keepBound()
    await this.#tell()
    if (this.#next >= records.size) {
      if (this.#isDue()) await this.#writePosition()
      await this.#sleep()
      return undefined
    }
    const began = monotonic()
    const batch = await records.read(this.#next, destination.batch)
    const tookMs = monotonic() - began
    const answer = await destination.deliver(batch, this.#stop.signal)
    if ('again' in answer) return this.#stopped ? undefined : this.#backOff(undefined, answer.again)
    const taken = batch.slice(0, answer.taken)
    const refused = Math.min(answer.refused ?? 0, taken.length)
    await this.#passed(taken, refused)
    // Refused leaves are not sent again. But the destination may refuse everything, and every batch would be lost to it for ever.
    if (refused === taken.length) return this.#backOff()
    this.#recovered()
    return this.#next < records.size ? Math.min(longestRestMs, tookMs * restFactor) : undefined
  }

  async #passed(taken: readonly FeedRecord[], refused: number): Promise<void> {
    const [first, last] = [taken[0], taken.at(-1)]
    if (first === undefined || last === undefined) return
    this.#next = last.index + 1
    this.#delivered(taken.length - refused)
    if (refused > 0) {
      const ours = taken.filter(({ event }) => event.metadata.event_code === aboutFeeds).length
      await this.#drop({ reason: 'refused', from: first.index, to: last.index, count: refused }, refused > ours)
    }
    if (this.#isDue()) await this.#writePosition()
  }

  /** Drops leaves that are too far behind, so that a destination that never answers costs no more than its bound. */
  async #keepBound(): Promise<void> {
    const { records, destination } = this.#options
    const first = records.size - destination.bound
    if (this.#next >= first) return
    const dropped = { reason: 'backlog', from: this.#next, to: first - 1, count: first - this.#next } as const
    this.#next = first
    await this.#drop(dropped, true)
  }

  async #drop(dropped: Dropped, isToBeTold: boolean): Promise<void> {
    this.#droppedCounted(dropped)
    if (!isToBeTold) return
    const same = this.#dropped.find(({ reason }) => reason === dropped.reason)
    this.#dropped = [
      ...this.#dropped.filter((other) => other !== same),
      same === undefined ? dropped : { ...same, to: dropped.to, count: same.count + dropped.count },
    ]
    // Before anything else, because the drop must still be known after a crash.
    await this.#writePosition()
  }

  async #tell(): Promise<void> {
    const { destination, tellDropped, monotonic } = this.#options
    if (this.#dropped.length === 0 || monotonic() - this.#toldAt < this.#paces.tellMs) return
    this.#toldAt = monotonic()
    for (const dropped of this.#dropped) await tellDropped(destination.name, dropped)
    this.#dropped = []
    await this.#writePosition()
  }

  #isDue(): boolean {
    return this.#options.monotonic() - this.#writtenAt >= this.#paces.positionMs
  }

  /** If a stored position is too old, leaves are passed on again, under the same ids. */
  async #writePosition(): Promise<void> {
    const position = { next: this.#next, dropped: this.#dropped }
    if (this.#written?.next === position.next && this.#written.dropped === position.dropped) return
    this.#writtenAt = this.#options.monotonic()
    try {
      await this.#options.position.write(position)
      this.#written = position
    } catch (err) {
      this.#failed()
      this.#options.logger.error({ feed: this.#options.destination.name, err }, 'where a feed is was not written down')
    }
  }

  async #sleep(): Promise<void> {
    const late = new AbortController()
    await Promise.race([this.#wake.promise, after(idleMs, late.signal).catch(() => undefined)])
    late.abort()
    this.#wake = Promise.withResolvers<void>()
  }

  /** The wait doubles with each failure. Its random part keeps feeds that failed together from returning together. */
  #backOff(error?: unknown, afterMs = 0): number {
    const { destination, logger, random } = this.#options
    this.#failed()
    if (!this.#unwell)
      logger.warn({ feed: destination.name, ...(error === undefined ? {} : { err: error }) }, 'a feed waits')
    this.#unwell = true
    const { leastWaitMs, mostWaitMs } = this.#paces
    const wait = Math.min(mostWaitMs, leastWaitMs * 2 ** Math.min(this.#failures++, 16))
    const jitter = 0.5 + (random(1)[0] ?? 0) / 510
    return Math.max(afterMs, wait * jitter)
  }

  #recovered(): void {
    if (this.#unwell) this.#options.logger.info({ feed: this.#options.destination.name }, 'a feed goes on')
    this.#unwell = false
    this.#failures = 0
  }
}
