import type { Clock } from '@bailiwick/service-kit'

/**
 * Values that live for a while, in this process alone: challenges, statements that were shown, sessions, proofs already
 * seen. Bounded: when it is full the oldest goes, so whoever floods it takes from whoever waited longest.
 */
export class Transient<T> {
  readonly #entries = new Map<string, { value: T; until: number }>()
  readonly #options: { lifeMs: number; max: number; clock: Clock }

  constructor(options: { lifeMs: number; max: number; clock: Clock }) {
    this.#options = options
  }

  put(key: string, value: T): void {
    const { lifeMs, max, clock } = this.#options
    const now = clock.monotonic()
    this.#entries.delete(key)
    // In order of expiry, since all live equally long and a Map keeps the order of insertion.
    for (const [oldest, { until }] of this.#entries) {
      if (until > now && this.#entries.size < max) break
      this.#entries.delete(oldest)
    }
    this.#entries.set(key, { value, until: now + lifeMs })
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key)
    return entry !== undefined && entry.until > this.#options.clock.monotonic() ? entry.value : undefined
  }

  /** Gives the value to the first who asks, and to nobody else (V10). */
  take(key: string): T | undefined {
    const value = this.get(key)
    this.#entries.delete(key)
    return value
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }
}
