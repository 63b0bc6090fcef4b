import { type Clock, OwnedEntries } from '@bailiwick/kit'

export interface TransientOptions {
  lifeMs: number
  max: number
  /** How many one owner may have. The default is a tenth of `max`. */
  maxEach?: number
  clock: Clock
}

/**
 * Values that live for a while, in this process alone: shown statements, sessions, folded asks. Bounded: an owner (an agent, a session, a
 * person) that has too many loses its own oldest, and no other owner loses anything (V18).
 */
export class Transient<T> {
  readonly #entries: OwnedEntries<{ value: T; until: number }>
  readonly #options: TransientOptions

  constructor(options: TransientOptions) {
    const { max, maxEach = Math.ceil(max / 10), clock } = options
    this.#options = options
    // In order of expiry, since all values live equally long.
    this.#entries = new OwnedEntries({ max, maxEach, isOver: ({ until }) => until <= clock.monotonic() })
  }

  /** `owner`: the proved owner of the value. */
  put(key: string, value: T, owner: string): void {
    const { lifeMs, clock } = this.#options
    this.#entries.set(owner, key, { value, until: clock.monotonic() + lifeMs })
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key)
    return entry !== undefined && entry.until > this.#options.clock.monotonic() ? entry.value : undefined
  }

  /** Returns the value to the first caller only (V10). */
  take(key: string): T | undefined {
    const value = this.get(key)
    this.#entries.delete(key)
    return value
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }
}
