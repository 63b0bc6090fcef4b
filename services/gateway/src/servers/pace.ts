import { systemClock } from '@bailiwick/kit'

export interface Rate {
  /** What may be taken at once, and what is added to it in a second, in bytes. */
  readonly atOnce: number
  readonly eachSecond: number
}

/** A short message costs as much as one of this length: reading it takes about as long. */
const leastCost = 4096

/** What one server may have read of its output. Reading takes the gateway's only thread, which has the calls of all agents to watch. */
export class Pace {
  readonly #rate: Rate
  #left: number
  #at = systemClock.monotonic()

  constructor(rate: Rate) {
    this.#rate = rate
    this.#left = rate.atOnce
  }

  /** Counts a message that was read. */
  took(length: number): void {
    this.#refill()
    this.#left -= Math.max(length, leastCost)
  }

  /** Whether there is nothing left. */
  get isOver(): boolean {
    this.#refill()
    return this.#left <= 0
  }

  /** In how many ms there is something left again. */
  get pauseMs(): number {
    const { eachSecond } = this.#rate
    return eachSecond === 0 ? Number.POSITIVE_INFINITY : Math.max(Math.ceil((1 - this.#left) / (eachSecond / 1000)), 1)
  }

  #refill(): void {
    const now = systemClock.monotonic()
    const { atOnce, eachSecond } = this.#rate
    this.#left = Math.min(this.#left + ((now - this.#at) / 1000) * eachSecond, atOnce)
    this.#at = now
  }
}
