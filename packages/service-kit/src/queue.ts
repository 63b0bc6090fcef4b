import { ServiceError } from '@bailiwick/errors'

export interface QueueBounds {
  /** How many calls of one key may be waiting or running. */
  maxPerKey: number
  /** The same for all keys together. */
  max: number
}

/**
 * Runs the calls of each key one after the other, in the order in which they came, and those of different keys side by
 * side. Keys without calls take no memory.
 */
export class SerialQueue {
  readonly #bounds: QueueBounds
  readonly #lanes = new Map<string, { last: Promise<void>; length: number }>()
  #length = 0

  constructor(bounds: QueueBounds) {
    this.#bounds = bounds
  }

  /** Calls that wait or run. */
  get length(): number {
    return this.#length
  }

  /**
   * Settles as `fn` does, which starts once all earlier calls of the key have settled, however. Rejects with `queue_full`
   * when the bounds are reached, and with the signal's reason when that is aborted before the turn comes: then `fn` never
   * runs, so a call past its deadline changes nothing later. `fn` must not wait for the same key: it would for ever.
   */
  async serially<T>(key: string, fn: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const lane = this.#lanes.get(key) ?? { last: Promise.resolve(), length: 0 }
    if (this.#length >= this.#bounds.max || lane.length >= this.#bounds.maxPerKey) throw new ServiceError('queue_full')
    const before = lane.last
    const { promise, resolve: done } = Promise.withResolvers<void>()
    lane.last = promise
    lane.length++
    this.#length++
    this.#lanes.set(key, lane)
    try {
      await before
      signal?.throwIfAborted()
      return await fn()
    } finally {
      this.#length--
      if (--lane.length === 0) this.#lanes.delete(key)
      done()
    }
  }
}

/** Lets `limit` calls run at once and `maxWaiting` wait, first come, first served. */
export class Semaphore {
  readonly #limit: number
  readonly #maxWaiting: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(limit: number, maxWaiting: number) {
    if (!(limit >= 1 && maxWaiting >= 0)) throw new RangeError('a semaphore that lets nobody through')
    this.#limit = limit
    this.#maxWaiting = maxWaiting
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Settles as `fn` does. Rejects as `SerialQueue.serially` does, on a full queue and on an aborted signal. */
  async run<T>(fn: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#running < this.#limit) this.#running++
    else {
      if (this.#waiting.length >= this.#maxWaiting) throw new ServiceError('queue_full')
      // Whoever leaves hands its place over, so nobody who comes meanwhile can take it.
      await new Promise<void>((turn) => this.#waiting.push(turn))
    }
    try {
      signal?.throwIfAborted()
      return await fn()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }
}
