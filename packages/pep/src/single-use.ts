const bound = 100_000

/**
 * Names that count once (V10), each until a time after which nobody takes it any more. When it is full of names that still
 * matter, no further one counts: forgetting would let one count twice.
 */
export class SingleUse {
  readonly #until = new Map<string, number>()

  /** Whether this is its first use. Times in ms since the epoch. */
  take(name: string, until: number, now: number): boolean {
    // In the order of taking, which is nearly that of ending: usually only the first entry is looked at.
    for (const [old, end] of this.#until) {
      if (end > now) break
      this.#until.delete(old)
    }
    if (this.#until.has(name) || this.#until.size >= bound) return false
    this.#until.set(name, until)
    return true
  }
}
