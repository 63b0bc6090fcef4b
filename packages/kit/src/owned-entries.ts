export interface OwnedEntriesOptions<V> {
  /** The most entries, for all owners together. */
  max: number
  /** The most entries of one owner. Default: `max`. */
  maxEach?: number
  /** Whether a value is no longer of use. An owner's values end in the order in which they came. */
  isOver?: (value: V) => boolean
}

/**
 * Values that a process remembers, each with its owner. A new value always finds room. An owner that has its full share loses its own
 * oldest value. When the memory is full, expired values go first, then the oldest value of the owner that has most. So an owner that
 * fills the memory pushes out its own values and no other owner's (V18). `owner` must be an identity that was proved: otherwise any
 * caller could use that name and push out its values.
 */
export class OwnedEntries<V> {
  readonly #options: Required<OwnedEntriesOptions<V>>
  readonly #entries = new Map<string, { owner: string; value: V }>()
  /** The keys of each owner, the oldest first: a Set keeps the order of insertion. */
  readonly #keysOf = new Map<string, Set<string>>()

  constructor({ max, maxEach = max, isOver = () => false }: OwnedEntriesOptions<V>) {
    this.#options = { max, maxEach, isOver }
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string): V | undefined {
    return this.#entries.get(key)?.value
  }

  /** Keys are shared by all owners: the previous value of the key is removed, whichever owner it had. */
  set(owner: string, key: string, value: V): void {
    const { max, maxEach } = this.#options
    this.delete(key)
    this.#dropOver(owner)
    if ((this.#keysOf.get(owner)?.size ?? 0) >= maxEach) this.#dropOldest(owner)
    if (this.size >= max) for (const each of [...this.#keysOf.keys()]) this.#dropOver(each)
    if (this.size >= max) this.#dropOldest(this.#largest())
    this.#entries.set(key, { owner, value })
    const keys = this.#keysOf.get(owner) ?? new Set()
    this.#keysOf.set(owner, keys.add(key))
  }

  delete(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    const keys = this.#keysOf.get(entry.owner)
    keys?.delete(key)
    if (keys?.size === 0) this.#keysOf.delete(entry.owner)
  }

  #dropOver(owner: string): void {
    for (const key of this.#keysOf.get(owner) ?? []) {
      const entry = this.#entries.get(key)
      if (entry === undefined || !this.#options.isOver(entry.value)) return
      this.delete(key)
    }
  }

  #dropOldest(owner: string): void {
    const [oldest] = this.#keysOf.get(owner) ?? []
    if (oldest !== undefined) this.delete(oldest)
  }

  #largest(): string {
    let [most, largest] = [0, '']
    for (const [owner, { size }] of this.#keysOf) if (size > most) [most, largest] = [size, owner]
    return largest
  }
}
