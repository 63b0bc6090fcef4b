import { setTimeout as sleep } from 'node:timers/promises'

const FIRST_MS = 100
const LONGEST_MS = 1000

/** The waits between tries (KAFKA.md rule 7): doubling from 100 ms to a second, cut short by `end`. */
export class Pause {
  readonly #ended = new AbortController()
  readonly #first: number
  #ms: number

  constructor(firstMs = FIRST_MS) {
    this.#first = firstMs
    this.#ms = firstMs
  }

  /** Resolves after the next wait, or at once if ended. */
  async wait(): Promise<void> {
    const ms = this.#ms
    this.#ms = Math.min(ms * 2, LONGEST_MS)
    await sleep(ms, undefined, { signal: this.#ended.signal }).catch(() => {})
  }

  /** Call this after a success: the next wait is short again. */
  reset(): void {
    this.#ms = this.#first
  }

  end(): void {
    this.#ended.abort()
  }
}
