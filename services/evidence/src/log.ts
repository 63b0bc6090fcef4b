import { ServiceError } from '@bailiwick/errors'
import { after } from '@bailiwick/service-kit'
import {
  bundlesToWrite,
  type Checkpoint,
  decodeEntryBundle,
  decodeTile,
  emptyRoot,
  encodeEntryBundle,
  hashesAtLevel,
  leafHash,
  openCheckpoint,
  RightEdge,
  rootFromTiles,
  type SignerKey,
  sameHash,
  signCheckpoint,
  TILE_WIDTH,
  TileUnreadable,
  type TreeHead,
  tileLevels,
  tilePath,
} from '@bailiwick/tlog'
import { decodeEntered, type Entered, encodeEntered } from './entered.ts'
import type { LogFile, LogStorage, Place } from './log-storage.ts'
import { type Consumed, encodeTreeHead, type LockedHead, parseTreeHead } from './tree-head.ts'

/** A published checkpoint: the tree head, and the note that readers get. */
export interface Published extends TreeHead {
  readonly note: string
}

/** Leaves that become part of the tree at once, or one record's: readers wait no longer for the next checkpoint. */
const mostAtOnce = 4096

/** How far behind the last head the clock may be for a batch to wait for it, ms: it is often in the same one. */
const clockWaitMs = 1000
const clockTries = 5

/**
 * The log as its one writer has it. The order of an append is the whole of its safety (V14): entered in the journal, which no
 * crash takes back → tiles and entries durable and read back → the tree head swapped in → the checkpoint signed and published.
 * Whatever dies in between, the lock says what is part of the tree: tiles beyond it are nothing, and what the journal has
 * beyond it becomes part of it at the next start, in the places that it had. A rejected write ends this object, and so does a
 * clock that stands or goes back: open another one.
 */
export class Log {
  readonly #storage: LogStorage
  readonly #key: SignerKey
  readonly #now: () => number
  #edge: RightEdge
  /** The entries of the last bundle while it is partial. */
  #tail: Uint8Array[]
  #head: LockedHead
  #headBytes: Uint8Array
  #published: Published
  /** What is in the journal and not in the tree. */
  #entered: Entered[] = []
  #size: number
  /** Places whose partial tiles nobody needs once the tree head is published: it has their full tiles. */
  #outgrown: Place[] = []

  private constructor(fields: {
    storage: LogStorage
    key: SignerKey
    now: () => number
    edge: RightEdge
    tail: Uint8Array[]
    head: LockedHead
    headBytes: Uint8Array
    published: Published
  }) {
    this.#storage = fields.storage
    this.#key = fields.key
    this.#now = fields.now
    this.#edge = fields.edge
    this.#tail = fields.tail
    this.#head = fields.head
    this.#headBytes = fields.headBytes
    this.#published = fields.published
    this.#size = fields.head.size
  }

  /**
   * Opens the log, or begins an empty one. Throws `log_inconsistent` when lock, tiles and checkpoint do not agree: somebody
   * changed files, took some away, or put a copy in their place, and to go on would sign a second history. Throws `clock_behind` when the
   * newest head was made later than `now` (ms since the epoch) says.
   */
  static async open(storage: LogStorage, key: SignerKey, now: () => number): Promise<Log> {
    const origin = key.verifier.name
    const note = await storage.readCheckpoint()
    let headBytes = await storage.readHead()
    if (headBytes === undefined) {
      if (note !== undefined || (await storage.hasTiles())) throw inconsistent('there is a log but no tree head')
      headBytes = encodeTreeHead({ origin, time: now(), size: 0, root: emptyRoot(), consumed: {} })
      await storage.swapHead(undefined, headBytes)
    }
    const head = parseTreeHead(headBytes)
    if (head.origin !== origin) throw inconsistent('the tree head is of another log')
    if (head.time > now()) throw new ServiceError('clock_behind', 'the newest tree head is of a later time')
    const last = note === undefined ? undefined : opened(note, key)
    if (last !== undefined && last.size > head.size) throw inconsistent('the checkpoint is ahead of the tree head')
    try {
      if (last !== undefined && !sameHash(await rootFromTiles(storage.read, last.size), last.root))
        throw inconsistent('the tiles do not give the root of the checkpoint')
      // The last bundle too, while it is partial: the next one is made of it.
      const lastBundle = head.size - (head.size % TILE_WIDTH)
      await checkStored(storage, Math.min(last?.size ?? 0, lastBundle), head)
      const records = await storage.readJournal(head.size)
      const entered = records.map(({ from, to, bytes }) => decodeEntered(bytes, to - from))
      // Only now: what is beyond a tree head that does not belong here may be all that is left of the log.
      await storage.discardBeyond(head.size)
      const edge = await RightEdge.read(storage.read, head.size)
      const tail = await tailOf(storage, head.size)
      const published = last === undefined || last.size < head.size ? await publish(storage, key, head) : last
      for (const place of await storage.outgrown(published.size)) await storage.discardPartial(place)
      const log = new Log({ storage, key, now, edge, tail, head, headBytes, published })
      for (const each of entered) log.#noted(each)
      while (log.#entered.length > 0) await log.publish()
      return log
    } catch (error) {
      throw error instanceof TileUnreadable ? inconsistent(error.message) : error
    }
  }

  /** How many leaves have their places. */
  get size(): number {
    return this.#size
  }

  /** What of the bus the tree covers. */
  get consumed(): Consumed {
    return this.#head.consumed
  }

  get checkpoint(): Published {
    return this.#published
  }

  /** `enter`, then `publish`. */
  async append(entries: readonly Uint8Array[], consumed: Consumed): Promise<Published> {
    await this.enter(entries, consumed)
    return this.publish()
  }

  /** Resolves once all entries have their places for good: whatever dies now, they are part of the log. One call at a time. */
  async enter(entries: readonly Uint8Array[], consumed: Consumed): Promise<void> {
    const bytes = encodeEntered({ entries, consumed })
    await this.#storage.enter({ from: this.#size, to: this.#size + entries.length, bytes }, this.#head.size)
    this.#noted({ entries, consumed })
  }

  /**
   * Makes what was entered part of the tree, or the oldest 4,096 leaves of it, signs the tree head and publishes it; resolves
   * once readers see it, and what it made needless is gone. One call at a time; the next entries may be entered meanwhile.
   */
  async publish(): Promise<Published> {
    const entered = this.#take()
    const last = entered.at(-1)
    if (last !== undefined)
      await this.#integrate(
        entered.flatMap(({ entries }) => entries),
        last.consumed,
      )
    const outgrown = this.#outgrown
    this.#outgrown = []
    this.#published = await publish(this.#storage, this.#key, this.#head)
    await Promise.all(outgrown.map((place) => this.#storage.discardPartial(place)))
    return this.#published
  }

  /** The records that come next, oldest first. */
  #take(): Entered[] {
    let leaves = 0
    const end = this.#entered.findIndex(({ entries }) => {
      leaves += entries.length
      return leaves >= mostAtOnce
    })
    return this.#entered.splice(0, end < 0 ? this.#entered.length : end + 1)
  }

  #noted(entered: Entered): void {
    this.#entered.push(entered)
    this.#size += entered.entries.length
  }

  async #integrate(entries: readonly Uint8Array[], consumed: Consumed): Promise<void> {
    const from = this.#edge.size
    const time = await this.#nextTime()
    for (const entry of entries) this.#edge.append(leafHash(entry))
    const head = { origin: this.#head.origin, time, size: this.#edge.size, root: this.#edge.root(), consumed }
    await this.#storage.write([...bundlesOf(this.#tail, entries, from), ...this.#edge.take()])
    await checkStored(this.#storage, from, head)
    const headBytes = encodeTreeHead(head)
    await this.#storage.swapHead(this.#headBytes, headBytes)
    this.#head = head
    this.#headBytes = headBytes
    const all = [...this.#tail, ...entries]
    this.#tail = all.slice(all.length - (head.size % TILE_WIDTH))
    this.#outgrown.push(...outgrownBetween(from, head.size))
  }

  async #nextTime(): Promise<number> {
    // A timer may fire a little before its time.
    for (let tries = 0; tries < clockTries; tries++) {
      const behind = this.#head.time + 1 - this.#now()
      if (behind > 0 && behind <= clockWaitMs) await after(behind)
    }
    const time = this.#now()
    if (time > this.#head.time) return time
    throw new ServiceError('clock_behind', 'the clock stands, or was set back, since the last tree head')
  }
}

/** The entries of a log from index `from` up to `to`, a bundle at a time, as they are stored. */
export async function* entriesOf(
  storage: Pick<LogStorage, 'read'>,
  from: number,
  to: number,
): AsyncGenerator<{ index: number; bytes: Uint8Array }> {
  for (const bundle of bundlesToWrite(from, to)) {
    const entries = await readBundle(storage, bundle)
    for (const [at, bytes] of entries.entries()) {
      const index = bundle.index * TILE_WIDTH + at
      if (index >= from) yield { index, bytes }
    }
  }
}

async function publish(storage: LogStorage, key: SignerKey, { size, root }: TreeHead): Promise<Published> {
  const note = signCheckpoint({ origin: key.verifier.name, size, root, extensions: [] }, key)
  await storage.publishCheckpoint(Buffer.from(note))
  return { size, root, note }
}

/** What is signed is what is stored: leaf hashes anew from the stored entries, the root anew from the stored tiles. */
async function checkStored(storage: LogStorage, from: number, head: TreeHead): Promise<void> {
  for (const bundle of bundlesToWrite(from, head.size)) {
    const path = tilePath({ ...bundle, level: 0 })
    const [entries, tile] = await Promise.all([readBundle(storage, bundle), storage.read(path)])
    const hashes = decodeTile(tile ?? new Uint8Array(), bundle.width)
    if (hashes === undefined) throw inconsistent(`${path} is missing or malformed`)
    for (const [at, entry] of entries.entries())
      if (!sameHash(leafHash(entry), hashes[at] as Uint8Array))
        throw inconsistent(`entry ${bundle.index * TILE_WIDTH + at} is not the one that was hashed`)
  }
  if (!sameHash(await rootFromTiles(storage.read, head.size), head.root))
    throw inconsistent('the tiles do not give the root of the tree head')
}

async function tailOf(storage: LogStorage, size: number): Promise<Uint8Array[]> {
  const width = size % TILE_WIDTH
  if (width === 0) return []
  return readBundle(storage, { level: 'entries', index: Math.floor(size / TILE_WIDTH), width })
}

async function readBundle(storage: Pick<LogStorage, 'read'>, bundle: ReturnType<typeof bundlesToWrite>[number]) {
  const path = tilePath(bundle)
  const entries = decodeEntryBundle((await storage.read(path)) ?? new Uint8Array(), bundle.width)
  if (entries === undefined) throw inconsistent(`${path} is missing or malformed`)
  return entries
}

/** Where a tile was partial in a tree of `from` leaves and is full in one of `to`. */
function outgrownBetween(from: number, to: number): Place[] {
  return Array.from({ length: tileLevels(from) }, (_, level) => level).flatMap((level) => {
    const [before, now] = [hashesAtLevel(from, level), hashesAtLevel(to, level)]
    const index = Math.floor(before / TILE_WIDTH)
    if (before % TILE_WIDTH === 0 || now < (index + 1) * TILE_WIDTH) return []
    return level === 0 ? [{ level: 'entries', index } as const, { level, index }] : [{ level, index }]
  })
}

function bundlesOf(tail: readonly Uint8Array[], entries: readonly Uint8Array[], from: number): LogFile[] {
  const all = [...tail, ...entries]
  const first = from - tail.length
  return bundlesToWrite(from, from + entries.length).map((bundle) => {
    const begin = bundle.index * TILE_WIDTH - first
    return { path: tilePath(bundle), bytes: encodeEntryBundle(all.slice(begin, begin + bundle.width)) }
  })
}

function opened(note: Uint8Array, key: SignerKey): Published & Checkpoint {
  const result = openCheckpoint(note, { log: key.verifier })
  if (!result.ok) throw inconsistent(`the checkpoint does not verify: ${result.reason}`)
  return { ...result.checkpoint, note: Buffer.from(note).toString() }
}

function inconsistent(detail: string): ServiceError {
  return new ServiceError('log_inconsistent', detail)
}
