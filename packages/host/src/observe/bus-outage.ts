import type { Health } from './health.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'

/** How long a publish may be unanswered before the bus counts as unavailable, ms. A change of leader on a busy machine is not an outage. */
const awayAfterMs = 3000
const lookEveryMs = 250

export interface BusOutageOptions {
  metrics: Metrics
  logger: Logger
  health: Health
  /** ms of a clock that never goes back. */
  monotonic: () => number
  /** The adapter's own reason to count the bus as unavailable. */
  late?: (() => string | undefined) | undefined
}

/**
 * Whether the bus answers, judged by this process's own publishes: it publishes a head every half second. An outage is a readiness reason,
 * a metric, one log line when it begins and one when it ends (decision 49).
 */
export class BusOutage implements Disposable {
  readonly #options: BusOutageOptions
  /** When each unanswered publish began; the oldest is the first. */
  readonly #unanswered = new Map<symbol, number>()
  readonly #timer: NodeJS.Timeout
  readonly #outages: { inc(): void }
  #since: number | undefined

  constructor(options: BusOutageOptions) {
    this.#options = options
    const { metrics, health } = options
    metrics.gauge('bus_away_seconds', 'How long the bus has not answered; 0 while it does', [], (gauge) =>
      gauge.set(this.#seconds()),
    )
    this.#outages = metrics.counter('bus_outages_total', 'Outages of the bus that were long enough to be told', [])
    health.check('bus_away', () => {
      this.#look()
      return this.#since === undefined ? undefined : `the bus has not answered for ${Math.floor(this.#seconds())} s`
    })
    this.#timer = setInterval(() => this.#look(), lookEveryMs).unref()
  }

  /** Call this when a publish begins, and call the returned function once the publish has any answer. */
  begun(): () => void {
    const publish = Symbol('publish')
    this.#unanswered.set(publish, this.#options.monotonic())
    return () => {
      this.#unanswered.delete(publish)
      if (this.#since !== undefined) this.#look()
    }
  }

  #seconds(): number {
    return this.#since === undefined ? 0 : (this.#options.monotonic() - this.#since) / 1000
  }

  #look(): void {
    const { logger, monotonic, late } = this.#options
    const now = monotonic()
    const [oldest = now] = this.#unanswered.values()
    const reason = late?.()
    if (now - oldest >= awayAfterMs || reason !== undefined) {
      if (this.#since !== undefined) return
      this.#since = oldest
      this.#outages.inc()
      logger.warn(
        { ...(reason === undefined ? {} : { reason }) },
        'the bus does not answer: this process waits, is not ready, and keeps the events that it has numbered',
      )
    } else if (this.#since !== undefined) {
      const seconds = Math.round(this.#seconds() * 10) / 10
      this.#since = undefined
      logger.warn({ seconds }, 'the bus answers again')
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
