/** The numbered events that wait for the bus. */
export interface Waiting {
  events: number
  /** When the oldest of them began to wait, monotonic ms. */
  since: number
}

/**
 * One producer's numbered events that are not yet known to be on the bus (and read back, where its projection follows their topic). The
 * producer never gives one up while the process lives: its number would be a gap without an explanation (V15).
 */
export class InHand {
  /** In the order of their numbers, so the first is the oldest. */
  readonly #entries = new Map<symbol, Waiting>()
  #allSettled: PromiseWithResolvers<void> | undefined

  /** Returns a function to call once these events are settled. */
  take(events: number, now: number): () => void {
    const entry = Symbol('in hand')
    this.#entries.set(entry, { events, since: now })
    return () => {
      this.#entries.delete(entry)
      if (this.#entries.size === 0) this.#allSettled?.resolve()
    }
  }

  /** Resolves once nothing is in hand. */
  async settled(): Promise<void> {
    if (this.#entries.size === 0) return
    this.#allSettled ??= Promise.withResolvers()
    await this.#allSettled.promise
    this.#allSettled = undefined
  }

  /** undefined when nothing waits. */
  get waiting(): Waiting | undefined {
    const [oldest] = this.#entries.values()
    if (oldest === undefined) return undefined
    return { events: this.#entries.values().reduce((sum, { events }) => sum + events, 0), since: oldest.since }
  }
}
