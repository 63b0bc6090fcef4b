/** How long nothing came, for each of several places that something should come from all the time. */
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

  /** Of the places that came so far: since when not all of them have come again, ms. */
  get open(): number {
    return this.#now() - Math.min(...this.#last.values())
  }

  /** The longest gap since the last call, ms; a gap that is still open counts with its length so far. */
  take(): number {
    const worst = Math.max(this.#worst, this.open)
    this.#worst = 0
    return Math.round(worst)
  }
}
