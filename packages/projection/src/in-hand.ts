/** What is said of numbered events that wait for the bus. */
export interface Waiting {
  events: number
  /** Since when the oldest of them waits, monotonic ms. */
  since: number
}

/**
 * The numbered events of one producer that are not yet known to be on the bus, and read back where its projection follows their topic. None is
 * given up while the process lives: its number would be a gap that nobody could explain (V15).
 */
export class InHand {
  /** By the order in which they were numbered, so the oldest is the first. */
  readonly #entries = new Map<symbol, Waiting>()

  /** Gives what to call once these are settled. */
  take(events: number, now: number): () => void {
    const entry = Symbol('in hand')
    this.#entries.set(entry, { events, since: now })
    return () => void this.#entries.delete(entry)
  }

  /** undefined when nothing waits. */
  get waiting(): Waiting | undefined {
    const [oldest] = this.#entries.values()
    if (oldest === undefined) return undefined
    return { events: this.#entries.values().reduce((sum, { events }) => sum + events, 0), since: oldest.since }
  }
}
