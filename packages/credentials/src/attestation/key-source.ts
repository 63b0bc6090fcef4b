import type { ErrorCode } from '@bailiwick/errors'
import { type Refused, refused } from '../verified.ts'
import type { AuthorityKey, AuthorityKeys } from './authority-keys.ts'

/** Time that nobody can turn back, in ms. */
export interface Monotonic {
  monotonic(): number
}

/** Where an authority's keys are read. Throws or gives undefined when they cannot be had. */
export type ReadKeys = () => Promise<AuthorityKeys | undefined>

/** How old keys may become before they are read again, where the authority does not say. */
const refreshMs = 300_000
/** An authority may say longer, up to this. */
const longestMs = 3_600_000
/** After this the last good keys count no more: what an authority took back meanwhile must not live on an outage. */
export const keptMs = 3_600_000
/** Between two attempts: unknown `kid`s and an authority that is down must not make us its flood. */
export const retryMs = 30_000
/** With nothing at hand it is asked again sooner: to start before the authority should not cost half a minute. */
const firstRetryMs = 1000

/**
 * An authority's keys, kept and refreshed. They are read when first needed, again when they are older than the authority
 * wants, and when a token names a key that is not there, but never twice within 30 s. While they cannot be read the last good
 * ones go on for an hour, and then nothing is attested (V13).
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

  /** The authority's key of this `kid`. `attestation_unavailable` while no keys can be had; `key_unknown`: it has none such. */
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

  /** Callers who need it at the same moment read once. */
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
