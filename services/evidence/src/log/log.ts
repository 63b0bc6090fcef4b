import { ServiceError } from '@bailiwick/errors'
import { after } from '@bailiwick/kit'
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

/** How many leaves become part of the tree at once (one record may have more), so that readers do not wait longer for a checkpoint. */
const mostAtOnce = 4096

/** How far behind the last head the clock may be for a batch to wait for it, in ms. The two are often in the same millisecond. */
const clockWaitMs = 1000
const clockTries = 5

/**
 * The log as seen by its only writer. Its safety rests entirely on the order of an append (V14): the leaves are entered in the journal,
 * which no crash takes back → tiles and entries are durable and read back → the tree head is swapped in → the checkpoint is signed and
 * published. If the process dies in between, the lock says what is part of the tree. Tiles beyond it do not count. Leaves that the journal
 * has beyond it become part of the tree at the next start, in the same places. A rejected write ends this object, and so does a clock that
 * stands still or goes back. Open another one then.
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
  /** The records that are in the journal but not in the tree. */
  #entered: Entered[] = []
  #size: number
  /** Places whose partial tiles are no longer needed once the tree head is published, since it has their full tiles. */
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
   * Opens the log, or begins an empty one. Throws `log_inconsistent` if lock, tiles and checkpoint do not agree: files were changed,
   * removed or replaced by a copy, and to go on would sign a second history. Throws `clock_behind` if the newest head was made later than
   * `now` (ms since the epoch).
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
      // Check the last bundle too while it is partial, since the next one is built from it.
      const lastBundle = head.size - (head.size % TILE_WIDTH)
      await checkStored(storage, Math.min(last?.size ?? 0, lastBundle), head)
      const records = await storage.readJournal(head.size)
      const entered = records.map(({ from, to, bytes }) => decodeEntered(bytes, to - from))
      // Not earlier: if the tree head does not belong here, the files beyond it may be all that is left of the log.
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

  /** How far the tree covers the bus. */
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

  /** Resolves once all entries have their final places. From then on they are part of the log after any crash. One call at a time. */
  async enter(entries: readonly Uint8Array[], consumed: Consumed): Promise<void> {
    const bytes = encodeEntered({ entries, consumed })
    await this.#storage.enter({ from: this.#size, to: this.#size + entries.length, bytes }, this.#head.size)
    this.#noted({ entries, consumed })
  }

  /**
   * Makes the entered leaves part of the tree, at most the oldest 4,096 of them, then signs the tree head and publishes it. Resolves once
   * readers see it and the files that it made unnecessary are gone. One call at a time; the next entries may be entered meanwhile.
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

  /** Takes the next records, oldest first. */
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

/** Checks that what is signed is what is stored: recomputes leaf hashes from the stored entries and the root from the stored tiles. */
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

/** The places where a tile is partial in a tree of `from` leaves and full in a tree of `to` leaves. */
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
