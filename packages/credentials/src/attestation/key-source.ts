import type { ErrorCode } from '@bailiwick/errors'
import { type Refused, refused } from '../verified.ts'
import type { AuthorityKey, AuthorityKeys } from './authority-keys.ts'

/** A clock that cannot be set back, in ms. */
export interface Monotonic {
  monotonic(): number
}

/** Reads an authority's keys. Throws or returns undefined if they are not available. */
export type ReadKeys = () => Promise<AuthorityKeys | undefined>

/** How old keys may become before they are read again, unless the authority says otherwise. */
const refreshMs = 300_000
/** The authority may ask for a longer time, up to this. */
const longestMs = 3_600_000
/** After this time the last good keys no longer count: an outage must not keep keys alive that the authority has withdrawn. */
export const keptMs = 3_600_000
/** The pause between two attempts: unknown `kid`s, or an authority that is down, must not make us flood it. */
export const retryMs = 30_000
/** Without any keys the retry comes sooner: starting before the authority should not cost half a minute. */
const firstRetryMs = 1000

/**
 * An authority's keys, cached and refreshed. They are read when first needed, again when they are older than the authority wants, and when
 * a token names a key that is not there, but never twice within 30 s. While they cannot be read, the last good keys remain valid for an
 * hour; after that nothing is attested (V13).
 */
export class KeySource {
  readonly #read: ReadKeys
  readonly #clock: Monotonic
  #good: { set: AuthorityKeys; at: number } | undefined
  #triedAt = Number.NEGATIVE_INFINITY
  #running: Promise<void> | undefined

  constructor(read: ReadKeys, clock: Monotonic) {
    this.#read = read
    this.#clock = clock
  }

  /**
   * The authority's key with this `kid`. `attestation_unavailable` while no keys are available; `key_unknown` if the authority has no such
   * key.
   */
  async find(kid: string): Promise<AuthorityKey | Refused> {
    if (this.#isOld() || !this.#good?.set.keys.has(kid)) await this.#refresh()
    const good = this.#good
    if (good === undefined || !(this.#clock.monotonic() - good.at < keptMs))
      return no('attestation_unavailable', 'no keys of the authority are at hand')
    return good.set.keys.get(kid) ?? no('key_unknown', 'the authority has no key of this kid')
  }

  #isOld(): boolean {
    if (this.#good === undefined) return true
    const { set, at } = this.#good
    const wanted = set.refreshSeconds === undefined ? refreshMs : set.refreshSeconds * 1000
    return this.#clock.monotonic() - at >= Math.min(longestMs, Math.max(retryMs, wanted))
  }

  /** Callers that need it at the same moment share one read. */
  async #refresh(): Promise<void> {
    if (this.#running === undefined) {
      const now = this.#clock.monotonic()
      if (now - this.#triedAt < (this.#good === undefined ? firstRetryMs : retryMs)) return
      this.#triedAt = now
      this.#running = this.#readOnce(now).finally(() => {
        this.#running = undefined
      })
    }
    await this.#running
  }

  async #readOnce(now: number): Promise<void> {
    const set = await this.#read().catch(() => undefined)
    if (set !== undefined) this.#good = { set, at: now }
  }
}

function no(code: ErrorCode, detail: string): Refused {
  return refused(code, detail)
}
