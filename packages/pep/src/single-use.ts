const bound = 100_000

/**
 * Names that count once (V10), each until the time after which it is no longer accepted anyway. When it is full of names that still matter,
 * no further name counts: forgetting one would let it count twice.
 */
export class SingleUse {
  readonly #until = new Map<string, number>()

  /** Whether this is its first use. Times in ms since the epoch. */
  take(name: string, until: number, now: number): boolean {
    // Entries are in the order of taking, which is nearly that of ending: usually only the first entry is examined.
    for (const [old, end] of this.#until) {
      if (end > now) break
      this.#until.delete(old)
    }
    if (this.#until.has(name) || this.#until.size >= bound) return false
    this.#until.set(name, until)
    return true
  }
}
