import { ServiceError } from '@bailiwick/errors'
import { withResolvers } from './with-resolvers.ts'

export interface QueueBounds {
  /** How many calls of one key may be waiting or running. */
  maxPerKey: number
  /** The same for all keys together. */
  max: number
  /** How long a call may wait for its turn. Absent: no limit. */
  wait?: { mostMs: number; monotonic: () => number }
}

interface QueueLane {
  urgent: (() => void)[]
  waiting: (() => void)[]
  /** Calls that wait or run. */
  length: number
  /** When the running call began, and how long the call before it took, monotonic ms. */
  began: number
  tookMs: number
}

/**
 * Runs the calls of each key one after the other, in the order in which they came, and calls of different keys concurrently.
 * Keys without calls take no memory.
 */
export class SerialQueue {
  readonly #bounds: QueueBounds
  readonly #lanes = new Map<string, QueueLane>()
  #length = 0

  constructor(bounds: QueueBounds) {
    this.#bounds = bounds
  }

  /** Calls that wait or run. */
  get length(): number {
    return this.#length
  }

  /**
   * Settles as `fn` does. `fn` starts once all earlier calls of the key have settled, successfully or not. Rejects with `queue_full`
   * when the bounds are reached, and when the call has waited too long, or would at the pace of the calls before it (the error then says
   * when to ask again). Rejects with the signal's reason if the signal is aborted before the call's turn. After a rejection `fn` never
   * runs, so a call past its deadline changes nothing later. `fn` must not wait for the same key: it would wait for ever.
   */
  async serially<T>(key: string, fn: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const { max, maxPerKey, wait } = this.#bounds
    const lane = this.#lanes.get(key)
    if (this.#length >= max || (lane?.length ?? 0) >= maxPerKey) throw new ServiceError('queue_full')
    if (lane) this.#refuseLate(this.#expectedMs(lane))
    if (wait === undefined) return this.#inTurn(key, fn, { first: false, signal })
    const queuedAt = wait.monotonic()
    const inTime = () => {
      this.#refuseLate(wait.monotonic() - queuedAt)
      return fn()
    }
    return this.#inTurn(key, inTime, { first: false, signal })
  }

  /** Like `serially`, but ahead of all calls waiting for the key and exempt from every bound: for urgent calls such as a stop. */
  async first<T>(key: string, fn: () => Promise<T>): Promise<T> {
    return this.#inTurn(key, fn, { first: true, signal: undefined })
  }

  /** The expected wait: for each call of the lane, the longer of the running call's time so far and the time of the call before it. */
  #expectedMs({ length, began, tookMs }: QueueLane): number {
    return length * Math.max(tookMs, this.#now() - began)
  }

  #refuseLate(ms: number): void {
    const mostMs = this.#bounds.wait?.mostMs ?? Number.POSITIVE_INFINITY
    if (ms <= mostMs) return
    const retryAfterSeconds = Math.ceil((ms - mostMs) / 1000)
    throw new ServiceError('queue_full', 'what came before takes too long', { retryAfterSeconds })
  }

  #now(): number {
    return this.#bounds.wait?.monotonic() ?? 0
  }

  async #inTurn<T>(
    key: string,
    fn: () => Promise<T>,
    { first, signal }: { first: boolean; signal: AbortSignal | undefined },
  ): Promise<T> {
    const lane: QueueLane = this.#lanes.get(key) ?? {
      urgent: [],
      waiting: [],
      length: 0,
      began: this.#now(),
      tookMs: 0,
    }
    this.#lanes.set(key, lane)
    const { promise: turn, resolve } = withResolvers<void>()
    if (lane.length === 0) resolve()
    else (first ? lane.urgent : lane.waiting).push(resolve)
    lane.length++
    this.#length++
    try {
      await turn
      lane.began = this.#now()
      signal?.throwIfAborted()
      return await fn()
    } finally {
      lane.tookMs = this.#now() - lane.began
      this.#length--
      if (--lane.length === 0) this.#lanes.delete(key)
      else (lane.urgent.shift() ?? lane.waiting.shift())?.()
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
    if (!(limit >= 1 && maxWaiting >= 0)) throw new RangeError('a semaphore that lets nothing through')
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
      // A finished call hands its place to the next waiting one, so that a new call cannot take it.
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
