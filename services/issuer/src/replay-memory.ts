const largest = 200_000

/** Remembers ids until they expire by themselves (V10). Full: nothing new is taken, which denies rather than forgets. */
export class ReplayMemory {
  readonly #until = new Map<string, number>()
  readonly #largest: number

  constructor(most: number = largest) {
    this.#largest = most
  }

  /** `false`: seen before, or no room. `expiresAt` and `now` in ms since the epoch. */
  remember(id: string, expiresAt: number, now: number): boolean {
    if ((this.#until.get(id) ?? 0) > now) return false
    if (this.#until.size >= this.#largest) this.#sweep(now)
    if (this.#until.size >= this.#largest) return false
    this.#until.set(id, expiresAt)
    return true
  }

  #sweep(now: number): void {
    for (const [id, until] of this.#until) if (until <= now) this.#until.delete(id)
  }
}
