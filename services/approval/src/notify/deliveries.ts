import type { Logger } from '@bailiwick/host'
import { after, Semaphore } from '@bailiwick/kit'
import type { Notice } from './notice.ts'
import type { NotificationSink } from './sink.ts'

/** The result of a notice. `moot`: the request was answered before a person could be told that it waits. */
export type Delivered = 'sent' | 'failed' | 'dropped' | 'moot'

export interface DeliveriesOptions {
  sink: NotificationSink
  logger: Logger
  /** Whether the notice is still true; asked before each attempt. */
  stillTrue: (notice: Notice) => boolean
  onDelivered: (notice: Notice, result: Delivered) => void
  /** ms before each attempt after the first. */
  pausesMs?: readonly number[]
  /** The most notices that may wait or be under way. */
  most?: number
}

const atOnce = 4

/**
 * Hands notices to the sink, a few at a time. Retries with growing pauses if that may help, and gives up after the last attempt.
 * Requests never wait for it. It is bounded: while it is full, new notices are dropped.
 */
export class Deliveries implements AsyncDisposable {
  readonly #options: Required<DeliveriesOptions>
  readonly #turns: Semaphore
  readonly #stop = new AbortController()
  readonly #open = new Set<Promise<void>>()

  constructor(options: DeliveriesOptions) {
    this.#options = { pausesMs: [1000, 5000, 30_000, 120_000], most: 1000, ...options }
    this.#turns = new Semaphore(atOnce, this.#options.most)
  }

  /** Never throws and never waits. */
  add(notice: Notice): void {
    const { most, onDelivered } = this.#options
    if (this.#stop.signal.aborted) return
    if (this.#open.size >= most) onDelivered(notice, 'dropped')
    else {
      const delivery = this.#deliver(notice).finally(() => this.#open.delete(delivery))
      this.#open.add(delivery)
    }
  }

  async #deliver(notice: Notice): Promise<void> {
    const { onDelivered, logger } = this.#options
    const result = await this.#attempts(notice).catch((): Delivered => 'failed')
    if (result === undefined) return // stopped: a restart does not repeat old notices
    if (result === 'failed')
      logger.warn({ notification_id: notice.id, kind: notice.kind }, 'a notification could not be delivered')
    onDelivered(notice, result)
  }

  async #attempts(notice: Notice): Promise<Delivered | undefined> {
    const { sink, stillTrue, pausesMs } = this.#options
    const { signal } = this.#stop
    for (const pauseMs of [0, ...pausesMs]) {
      if (pauseMs > 0) await after(pauseMs, signal).catch(() => undefined)
      if (signal.aborted) return undefined
      const sent = await this.#turns.run(async () => (stillTrue(notice) ? sink.send(notice, signal) : 'moot'))
      if (signal.aborted) return undefined
      if (sent === 'sent' || sent === 'moot') return sent
      if (sent === 'never') return 'failed'
    }
    return 'failed'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#open)
  }
}
