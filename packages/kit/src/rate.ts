import type { Clock } from './clock.ts'

export interface RateLimits {
  /** Tokens that are refilled each second. */
  perSecond: number
  /** Tokens of a key with a full bucket; at least 1. */
  burst: number
  /** How many keys are remembered. */
  maxKeys: number
  clock: Clock
}

/** A refusal says how long to wait, in whole seconds, for `Retry-After` (RFC 9110 §10.2.3). */
export type Rated = { ok: true } | { ok: false; retryAfterSeconds: number }

/**
 * A token bucket for each key (an agent, an enforcement point, a network: V18). Kept in memory, so it covers one process since its start.
 * When a new key finds `maxKeys` others, the least recently used key is forgotten, which gives it a full bucket again. To exploit that, a
 * caller would need `maxKeys` other keys, past authentication or in other networks.
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

  /** Gives back tokens of a `take` that should not have counted. A key forgotten meanwhile has a full bucket already. */
  give(key: string, cost = 1): void {
    const bucket = this.#buckets.get(key)
    if (bucket !== undefined) bucket.tokens = Math.min(this.#limits.burst, bucket.tokens + cost)
  }
}
