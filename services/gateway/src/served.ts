/** What a new file did to the entries, by name. */
export interface Changes {
  readonly added: readonly string[]
  /** New calls follow the new entry. */
  readonly changed: readonly string[]
  readonly removed: readonly string[]
}

/** Entries of a new file, opened beside those in use. Call one of the two, once. */
export interface Prepared {
  /** Puts them into use in one step. Never throws. */
  use(): Changes
  /** Gives up what was opened for them. */
  drop(): void
}

/** What serves the calls of one entry. Disposing of it cuts what flows. */
export interface Behind extends AsyncDisposable {
  /** Resolves when no answer flows any more. No call may follow. Never rejects. */
  retire(): Promise<void>
}

export interface ServedOptions<Entry, B> {
  /** Throws `config_invalid`. `earlier`: what serves the entry of this name now, if it is to be replaced. */
  open: (name: string, entry: Entry, earlier: B | undefined) => B
  /** What an entry says, as text. If it stays the same, so does what serves the entry. Default: all of it. */
  keyOf?: (entry: Entry) => string
  /** Takes over the rest of an entry whose key stayed the same. */
  adopt?: (behind: B, entry: Entry) => void
}

/** How long the answers of an entry that changed may flow on (decision 64). */
export const mostAfterMs = 300_000

/** The entries of one kind in the file that is in use (decision 64). */
export class Served<Entry, B extends Behind> implements AsyncDisposable {
  readonly #options: ServedOptions<Entry, B>
  #all: ReadonlyMap<string, { readonly key: string; readonly behind: B }> = new Map()
  /** In no file any more: their last answers flow, or they are being ended. */
  readonly #leaving = new Set<B>()

  constructor(options: ServedOptions<Entry, B>) {
    this.#options = options
  }

  get names(): readonly string[] {
    return [...this.#all.keys()]
  }

  get(name: string): B | undefined {
    return this.#all.get(name)?.behind
  }

  *entries(): Iterable<readonly [string, B]> {
    for (const [name, { behind }] of this.#all) yield [name, behind]
  }

  /**
   * Opens the entries of a file. One that did not change keeps its connections and streams. One that changed gets no new call, and ends after
   * the answers that flow, at the latest after `mostAfterMs`. One that is gone ends at once: it may have been removed because of what it
   * does. Throws `config_invalid`; then nothing was changed.
   */
  prepare(entries: Readonly<Record<string, Entry>>): Prepared {
    const { open, keyOf = JSON.stringify, adopt } = this.#options
    const current = this.#all
    const next = new Map<string, { key: string; behind: B }>()
    const opened: B[] = []
    const adopting: (() => void)[] = []
    const drop = () => {
      for (const behind of opened) this.#end(behind)
    }
    try {
      for (const [name, entry] of Object.entries(entries)) {
        const key = keyOf(entry)
        const known = current.get(name)
        if (known?.key === key) {
          adopting.push(() => adopt?.(known.behind, entry))
          next.set(name, known)
        } else {
          const behind = open(name, entry, known?.behind)
          opened.push(behind)
          next.set(name, { key, behind })
        }
      }
    } catch (error) {
      drop()
      throw error
    }
    const use = (): Changes => {
      this.#all = next
      for (const adopt of adopting) adopt()
      const removed = [...current.keys()].filter((name) => !next.has(name))
      const changed = [...next.keys()].filter((name) => current.has(name) && current.get(name) !== next.get(name))
      for (const [name, { behind }] of current)
        if (removed.includes(name)) this.#end(behind)
        else if (changed.includes(name)) this.#retire(behind)
      return { added: [...next.keys()].filter((name) => !current.has(name)), changed, removed }
    }
    return { use, drop }
  }

  #retire(behind: B): void {
    this.#leaving.add(behind)
    const late = new Promise<void>((resolve) => setTimeout(resolve, mostAfterMs).unref())
    void Promise.race([behind.retire(), late]).finally(() => this.#end(behind))
  }

  /** Not awaited: what hangs must hold nothing up. */
  #end(behind: B): void {
    this.#leaving.add(behind)
    void Promise.resolve(behind[Symbol.asyncDispose]())
      .catch(() => undefined)
      .finally(() => this.#leaving.delete(behind))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...[...this.#all.values()].map(({ behind }) => behind), ...this.#leaving]
    await Promise.all(all.map((behind) => behind[Symbol.asyncDispose]()))
  }
}

/** Prepares all kinds of entries of a file. If one throws, all others are dropped. */
export function prepareAll(kinds: readonly (() => Prepared)[]): Prepared {
  const prepared: Prepared[] = []
  const drop = () => {
    for (const each of prepared) each.drop()
  }
  try {
    for (const prepare of kinds) prepared.push(prepare())
  } catch (error) {
    drop()
    throw error
  }
  const use = (): Changes => {
    const changes = prepared.map((each) => each.use())
    return {
      added: changes.flatMap(({ added }) => added),
      changed: changes.flatMap(({ changed }) => changed),
      removed: changes.flatMap(({ removed }) => removed),
    }
  }
  return { use, drop }
}
