interface InHand {
  hash: string
  done: Promise<void>
}

/**
 * Outcomes that this decision point is recording: of each decision, and of each number of an instance, one at a time. The same outcome
 * again, in one list or by a repeated request, has the answer of the first, and no answer before that one is durable. Another outcome waits,
 * and is judged by what became of the first. What is in hand is not missing.
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
