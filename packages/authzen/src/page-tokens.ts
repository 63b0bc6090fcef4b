import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'

/** The position where a page ends, and the length of the next page. */
export interface PageMark {
  /** The last result that was returned; undefined: none yet. */
  after?: string | undefined
  limit: number
}

const markSchema = z.strictObject({
  after: z.string().optional(),
  limit: z.int().min(0),
  /** ms since the epoch */
  ends: z.number().optional(),
  request: z.string(),
})

const macBytes = 32

/**
 * Page tokens (AuthZEN Authorization API 1.0 §8.2). A token is opaque to callers, sealed so that they cannot make one, valid only for the
 * request that it was issued for, and expired after `lifeMs`. Without `lifeMs` the same request always gets the same token.
 */
export class PageTokens {
  readonly #key: Uint8Array
  readonly #now: () => number
  readonly #lifeMs: number | undefined

  /** `key`: 32 random bytes. `now`: ms since the epoch. */
  constructor({ key, now, lifeMs }: { key: Uint8Array; now: () => number; lifeMs?: number }) {
    this.#key = key
    this.#now = now
    this.#lifeMs = lifeMs
  }

  seal(request: unknown, mark: PageMark): string {
    const ends = this.#lifeMs === undefined ? {} : { ends: this.#now() + this.#lifeMs }
    const text = Buffer.from(JSON.stringify({ ...mark, ...ends, request: hashOf(request) }))
    return Buffer.concat([this.#mac(text), text]).toString('base64url')
  }

  /** Throws `request_malformed` for a token that was not sealed here, belongs to another request, or has expired. */
  open(request: unknown, token: string): PageMark {
    const bytes = Buffer.from(token, 'base64url')
    const text = bytes.subarray(macBytes)
    const sealed = bytes.toString('base64url') === token && bytes.length > macBytes
    if (!sealed || !timingSafeEqual(this.#mac(text), bytes.subarray(0, macBytes)))
      throw new ServiceError('request_malformed', 'page.token: not one of this instance')
    const { after, limit, ends, request: hash } = markSchema.parse(JSON.parse(text.toString()))
    if (hash !== hashOf(request)) throw new ServiceError('request_malformed', 'page.token: of another request')
    if (ends !== undefined && this.#now() >= ends) throw new ServiceError('request_malformed', 'page.token: over')
    return { after, limit }
  }

  #mac(text: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(text).digest()
  }
}

/** Hashes a request's content; the order of its members does not matter (§10.1.1). */
function hashOf(request: unknown): string {
  return createHash('sha256').update(JSON.stringify(request, inOrder)).digest('base64url')
}

function inOrder(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
