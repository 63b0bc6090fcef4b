import type { Clock } from './clock.ts'

export interface RateLimits {
  /** Tokens that come back each second. */
  perSecond: number
  /** Tokens of a key that has rested; at least 1. */
  burst: number
  /** How many keys are remembered. */
  maxKeys: number
  clock: Clock
}

/** The no carries how long to wait, in whole seconds, for `Retry-After` (RFC 9110 §10.2.3). */
export type Rated = { ok: true } | { ok: false; retryAfterSeconds: number }

/**
 * A token bucket for each key (an agent, an enforcement point, a network: V18). Kept in memory, hence for one
 * process and since its start. When a new key finds `maxKeys` others, the one that asked longest ago is forgotten, which
 * gives it a full bucket again: whoever wants that for himself must have `maxKeys` other keys, past authentication or in other networks.
 */
export class RateLimiter {
  readonly #limits: RateLimits
  /** In order of last use: a Map keeps the order of insertion. */
  readonly #buckets = new Map<string, { tokens: number; at: number }>()

  constructor(limits: RateLimits) {
    const { perSecond, burst, maxKeys } = limits
    if (!(perSecond > 0 && burst >= 1 && maxKeys >= 1)) throw new RangeError('a limit that lets nothing through')
    this.#limits = limits
  }

  get size(): number {
    return this.#buckets.size
  }

  /** Takes `cost` tokens or, when there are fewer, none. A cost over the burst is never met. */
  take(key: string, cost = 1): Rated {
    const { perSecond, burst, maxKeys, clock } = this.#limits
    const now = clock.monotonic()
    const bucket = this.#buckets.get(key) ?? { tokens: burst, at: now }
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond)
    bucket.at = now
    this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    if (this.#buckets.size > maxKeys) this.#buckets.delete(this.#buckets.keys().next().value ?? key)
    if (bucket.tokens < cost) {
      return { ok: false, retryAfterSeconds: Math.max(1, Math.ceil((cost - bucket.tokens) / perSecond)) }
    }
    bucket.tokens -= cost
    return { ok: true }
  }

  /** Gives back what a `take` took that ought not to have counted. Of a key that was forgotten meanwhile nothing is missing. */
  give(key: string, cost = 1): void {
    const bucket = this.#buckets.get(key)
    if (bucket !== undefined) bucket.tokens = Math.min(this.#limits.burst, bucket.tokens + cost)
  }
}
