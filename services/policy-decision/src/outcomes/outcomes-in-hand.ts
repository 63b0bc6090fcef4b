interface InHand {
  hash: string
  done: Promise<void>
}

/**
 * Outcomes that this decision point is recording, one at a time for each decision and for each number of an instance. A copy, in one list
 * or by a repeated request, gets the answer of the first, and not before the first is durable. A different outcome waits, and is judged by
 * the result of the first. An outcome in hand is not missing.
 */
export class OutcomesInHand {
  readonly #byName = new Map<string, InHand>()

  /** Whether an outcome of this decision is in hand. */
  has(decisionId: string): boolean {
    return this.#byName.has(decisionId)
  }

  /** `record` runs at once unless one of the names is taken. */
  async once(names: readonly string[], hash: string, record: () => Promise<void>): Promise<void> {
    for (;;) {
      const other = names.map((name) => this.#byName.get(name)).find((found) => found !== undefined)
      if (other === undefined) break
      if (other.hash === hash) return other.done
      await other.done.catch(() => undefined)
    }
    const done = record().finally(() => {
      for (const name of names) this.#byName.delete(name)
    })
    for (const name of names) this.#byName.set(name, { hash, done })
    await done
  }
}
