const largest = 500_000
const largestShare = 50_000

/** What the memory knows about an id. `full`: it has no room and accepts nothing new, because it denies rather than forgets. */
export type Remembered = 'new' | 'seen' | 'full'

/**
 * Remembers ids until they expire (V10), each with its owner. Each owner has at most a share of the room, so that an owner that fills
 * it up stops only itself (V18).
 */
export class ReplayMemory {
  readonly #byOwner = new Map<string, Map<string, number>>()
  readonly #largest: number
  readonly #largestShare: number
  #size = 0

  constructor(most: number = largest, mostEach: number = largestShare) {
    this.#largest = most
    this.#largestShare = mostEach
  }

  /** `expiresAt` and `now` in ms since the epoch. */
  remember(owner: string, id: string, expiresAt: number, now: number): Remembered {
    const own = this.#byOwner.get(owner) ?? new Map<string, number>()
    const until = own.get(id)
    if (until !== undefined && until > now) return 'seen'
    if (until === undefined && own.size >= this.#largestShare) this.#sweep(owner, own, now)
    if (until === undefined && this.#size >= this.#largest)
      for (const [each, ids] of this.#byOwner) this.#sweep(each, ids, now)
    if (until === undefined && (own.size >= this.#largestShare || this.#size >= this.#largest)) return 'full'
    if (until === undefined) this.#size++
    own.set(id, expiresAt)
    this.#byOwner.set(owner, own)
    return 'new'
  }

  #sweep(owner: string, ids: Map<string, number>, now: number): void {
    for (const [id, until] of ids)
      if (until <= now) {
        ids.delete(id)
        this.#size--
      }
    if (ids.size === 0) this.#byOwner.delete(owner)
  }
}
