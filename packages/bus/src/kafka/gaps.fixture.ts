/** Measures how long nothing arrived, for several places that should always receive something. */
export class Gaps {
  readonly #now: () => number
  readonly #last = new Map<number, number>()
  #worst = 0

  /** `now` is monotonic, ms. */
  constructor(now: () => number) {
    this.#now = now
  }

  came(place: number): void {
    const now = this.#now()
    this.#worst = Math.max(this.#worst, now - (this.#last.get(place) ?? now))
    this.#last.set(place, now)
  }

  /** How long ago the place that has been quiet for longest last received something, ms. */
  get open(): number {
    return this.#now() - Math.min(...this.#last.values())
  }

  /** The longest gap since the last call, ms. A gap that is still open counts with its length so far. */
  take(): number {
    const worst = Math.max(this.#worst, this.open)
    this.#worst = 0
    return Math.round(worst)
  }
}
