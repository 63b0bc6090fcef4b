import { createHash } from 'node:crypto'
import { encodeBase64url } from '@bailiwick/credentials'
import { leafHash, rootFromTiles, sameHash, type TreeHead } from '@bailiwick/tlog'
import { open, type RangeOptions, type RootDatabase } from 'lmdb'
import { type LeafFacts, leafFacts } from './leaf-ids.ts'
import { entriesOf } from './log.ts'
import type { LogStorage } from './log-storage.ts'

/** A leaf that mentions what was asked for. */
export interface Mention {
  index: number
  type: string
}

/** What the log has of a producer's numbers: all up to `whole`, and these above it. */
export interface Chain {
  whole: number
  ahead: number[]
}

type Value = number | string | { size: number; root: string } | Chain
type Key =
  | [kind: 'leaf' | 'event' | 'chain', hash: string]
  | [kind: 'mention', hash: string, index: number]
  | [kind: 'meta']

/** By what evidence tells of what is no leaf, or is missing; each names it as its subject. */
const telling: ReadonlySet<string> = new Set([
  'event.parked',
  'event.refused',
  'gap.detected',
  'outcome.unrelayed',
  'policy-files.changed',
])

/** Leaves of one transaction while the index catches up. */
const caughtUpAtOnce = 4096

/**
 * Finds leaves: by their hash, by event id, by what they mention. It is made of the log and made again from the log
 * whenever the two differ; what is in the log is never learned from here.
 */
export class LeafIndex implements AsyncDisposable {
  readonly #db: RootDatabase<Value, Key>
  #size: number

  private constructor(db: RootDatabase<Value, Key>, size: number) {
    this.#db = db
    this.#size = size
  }

  /** Opens the index in `dir` and brings it up to `head`. */
  static async open(dir: string, storage: Pick<LogStorage, 'read'>, head: TreeHead): Promise<LeafIndex> {
    // A commit is whole at once, and durable soon: what a power cut takes back is made again.
    const db = open<Value, Key>({ path: dir, overlappingSync: true })
    const index = new LeafIndex(db, 0)
    if (!(await index.#fits(storage, head))) await db.clearAsync()
    index.#size = index.#meta()?.size ?? 0
    let leaves: Uint8Array[] = []
    for await (const { bytes } of entriesOf(storage, index.#size, head.size)) {
      leaves.push(bytes)
      if (leaves.length < caughtUpAtOnce) continue
      await index.#apply(leaves)
      leaves = []
    }
    await index.#apply(leaves)
    await index.#mark(head)
    return index
  }

  /** The newest leaves, in order. Resolves once they are findable. */
  async add(leaves: readonly Uint8Array[], head: TreeHead): Promise<void> {
    await this.#apply(leaves)
    await this.#mark(head)
  }

  /** How many leaves can be found. */
  get size(): number {
    return this.#size
  }

  /** The leaf of this hash. */
  indexOf(leaf: Uint8Array): number | undefined {
    return this.#db.get(['leaf', encodeBase64url(leaf)]) as number | undefined
  }

  /** The first leaf of this event id: an id with other bytes has a leaf of its own behind it and no effect. */
  indexOfEvent(eventId: string): number | undefined {
    return this.#db.get(['event', keyOf(eventId)]) as number | undefined
  }

  /** The leaves that mention an id, oldest first; read as they are asked for. */
  mentions(id: string): Iterable<Mention> {
    const key = keyOf(id)
    return this.#mentions({ start: ['mention', key, 0], end: ['mention', key, Number.MAX_SAFE_INTEGER] })
  }

  /** The last `limit` leaves that mention an id, newest first. */
  newestMentions(id: string, limit: number): Iterable<Mention> {
    const key = keyOf(id)
    const [start, end]: [Key, Key] = [
      ['mention', key, Number.MAX_SAFE_INTEGER],
      ['mention', key, -1],
    ]
    return this.#mentions({ start, end, reverse: true, limit })
  }

  #mentions(range: RangeOptions): Iterable<Mention> {
    return this.#db.getRange(range).map(({ key, value }) => ({ index: Number(key[2]), type: String(value) }))
  }

  /**
   * Whether evidence itself has told of what has this name. Others mention whatever they like: an agent that calls its task
   * like the place of a forgery must not keep evidence silent about it.
   */
  isTold(name: string): boolean {
    for (const { type } of this.mentions(name)) if (telling.has(type)) return true
    return false
  }

  /** What the log has of the events of this producer (`source`). */
  chainOf(source: string): Chain {
    return (this.#db.get(['chain', keyOf(source)]) as Chain | undefined) ?? { whole: 0, ahead: [] }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#db.close()
  }

  async #apply(leaves: readonly Uint8Array[]): Promise<void> {
    const begin = this.#size
    await this.#db.transaction(() => {
      for (const [at, bytes] of leaves.entries()) this.#put(begin + at, leafHash(bytes), leafFacts(bytes))
    })
    this.#size += leaves.length
  }

  #put(index: number, hash: Uint8Array, { eventId, type, source, sequence, ids }: LeafFacts): void {
    this.#first(['leaf', encodeBase64url(hash)], index)
    this.#first(['event', keyOf(eventId)], index)
    for (const id of ids) this.#db.put(['mention', keyOf(id), index], type)
    if (sequence !== undefined) this.#db.put(['chain', keyOf(source)], extended(this.chainOf(source), sequence))
  }

  #first(key: Key, index: number): void {
    if (!this.#db.doesExist(key)) this.#db.put(key, index)
  }

  async #mark({ size, root }: TreeHead): Promise<void> {
    await this.#db.put(['meta'], { size, root: encodeBase64url(root) })
  }

  #meta(): { size: number; root: string } | undefined {
    return this.#db.get(['meta']) as { size: number; root: string } | undefined
  }

  /** Whether this is an index of the beginning of that very log. */
  async #fits(storage: Pick<LogStorage, 'read'>, head: TreeHead): Promise<boolean> {
    const meta = this.#meta()
    if (meta === undefined || meta.size > head.size) return false
    const root = await rootFromTiles(storage.read, meta.size).catch(() => undefined)
    return root !== undefined && sameHash(root, Buffer.from(meta.root, 'base64url'))
  }
}

/** Topics come into the log side by side, so a producer's numbers come in any order. */
function extended({ whole, ahead }: Chain, sequence: number): Chain {
  const above = new Set(sequence > whole ? [...ahead, sequence] : ahead)
  let end = whole
  while (above.delete(end + 1)) end++
  return { whole: end, ahead: [...above] }
}

/** Ids are up to 2,100 characters and callers choose some of them; an lmdb key has at most 1,978 bytes. */
function keyOf(id: string): string {
  return createHash('sha256').update(id).digest('base64url').slice(0, 22)
}
