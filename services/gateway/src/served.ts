/** What stands behind the gateway by one entry of its file. */
export interface Retiring extends AsyncDisposable {
  /** Ends it after the answers that flow. It gets no new call. */
  retire(): void
}

/** What the entries of one kind are, in the file that is in use. */
export class Served<Entry, Behind extends Retiring> implements AsyncDisposable {
  readonly #open: (name: string, entry: Entry) => Behind
  #all = new Map<string, { entry: string; behind: Behind }>()

  constructor(open: (name: string, entry: Entry) => Behind) {
    this.#open = open
  }

  get(name: string): Behind | undefined {
    return this.#all.get(name)?.behind
  }

  /**
   * Opens the entries of a file. Throws `config_invalid`; then nothing was changed. Only what it returns puts them into use: one that changed
   * gets no new call, and ends after the answers that flow.
   */
  prepare(entries: Readonly<Record<string, Entry>>): () => void {
    const earlier = this.#all
    const next = new Map(
      Object.entries(entries).map(([name, entry]) => {
        const known = earlier.get(name)
        const text = JSON.stringify(entry)
        return [name, known?.entry === text ? known : { entry: text, behind: this.#open(name, entry) }]
      }),
    )
    return () => {
      this.#all = next
      const kept = new Set([...next.values()].map(({ behind }) => behind))
      for (const { behind } of earlier.values()) if (!kept.has(behind)) behind.retire()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#all.values()].map(({ behind }) => behind[Symbol.asyncDispose]()))
  }
}
