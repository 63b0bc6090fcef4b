import type { Bus } from '@bailiwick/bus'
import type { ServiceName } from '@bailiwick/contracts'
import { jcsHash, type Trust } from '@bailiwick/credentials'
import { type DurableFs, removeUnfinished } from '@bailiwick/kit'
import type { Row } from '@bailiwick/projection'
import { codeDigest } from './code-digest.ts'
import { compareHistory, type Marks } from './same-history.ts'
import { type FileRefusal, readSnapshot, type SnapshotPlace, writeSnapshot } from './snapshot-file.ts'

/**
 * Why a start folds everything. `other_code`: other code wrote it. `other_owner`: another service or installation did. `too_old`: it is
 * older than what a start reads, or from the future. `ahead_of_bus`, `other_history`: it was not made from this bus.
 * `unchecked`: the bus did not answer. `malformed`: a part of it could not be read.
 */
export type SnapshotRefusal =
  | FileRefusal
  | 'other_code'
  | 'other_owner'
  | 'too_old'
  | 'ahead_of_bus'
  | 'other_history'
  | 'unchecked'
  | 'malformed'

/** A reader's whole state at one moment, except for the registry and the heads, which every start reads anew. */
export interface Cut {
  /** ms since the epoch. */
  takenAt: number
  /** ms since the epoch. Of messages that the bus took before this time, the reader used only the chains. */
  since: number
  /** ms since the epoch. What ended earlier was forgotten. */
  forgottenUpTo: number
  /** The last message read of each partition, those of the registry included. */
  marks: Marks
  /** The last event that counts, by topic and partition. */
  counted: Record<string, Record<string, { offset: number; id: string }>>
  /** May be read while the state changes. Until they end, or `return` is called, the state keeps what it was. */
  rows: IterableIterator<Row>
}

/** A cut that was read from a file. */
export interface Snapshot extends Omit<Cut, 'rows'> {
  rows(): AsyncIterable<Row>
}

export interface SnapshotOptions extends SnapshotPlace {
  /** Called once in a start: how old the snapshot is that it begins with, in ms, or why there is none. */
  onRead?: (read: { ageMs: number } | { refused: SnapshotRefusal }) => void
  /** `longestMs`: how long the process did nothing else at a time. */
  onWritten?: (written: { bytes: number; tookMs: number; longestMs: number }) => void
  /** Called when no snapshot could be written. The service tries again a minute later. */
  onError?: (error: unknown) => void
  /** Default: one minute. */
  everyMs?: number
  fs?: DurableFs
}

export interface Owner {
  service: ServiceName
  trust: Trust
}

interface Header extends Omit<Cut, 'rows'> {
  code: string
  owner: string
}

const everyMs = 60_000
/** A snapshot takes at most this part of the time between two. */
const shareOfTime = 20
/** The longest time that snapshots delay a stop. One that needs longer is given up, and the file stays as it was. */
const mostAtStopMs = 3000
/** How far the clock may have been set back since. */
const aheadMs = 60_000

/**
 * The options; undefined if this code cannot name itself, because then no snapshot can be bound to it. It reads some hundred files, once,
 * at the start, so no decision waits for that later.
 */
export function usable(options: SnapshotOptions): SnapshotOptions | undefined {
  try {
    codeDigest()
    return options
  } catch (error) {
    options.onError?.(error)
    return undefined
  }
}

const ownerOf = ({ service, trust }: Owner) => `${service} ${jcsHash(trust)}`

/** The snapshot of this service, or the reason why it does not fit the history of this bus. Never rejects. */
export async function readOwnSnapshot(
  options: SnapshotOptions,
  { owner, bus, now, lookbackMs }: { owner: Owner; bus: Pick<Bus, 'ends' | 'follow'>; now: number; lookbackMs: number },
): Promise<Snapshot | SnapshotRefusal> {
  const text = await readSnapshot(options)
  if (typeof text === 'string') return text
  const header = JSON.parse(text.header) as Header
  if (header.owner !== ownerOf(owner)) return 'other_owner'
  if (header.code !== codeDigest()) return 'other_code'
  if (!(now - lookbackMs < header.takenAt && header.takenAt <= now + aheadMs)) return 'too_old'
  const { takenAt, since, forgottenUpTo, counted, marks } = header
  // Its reader's clock was ahead, so it read too little, or forgot what still lived.
  if (since > now - lookbackMs + aheadMs || forgottenUpTo > takenAt) return 'too_old'
  const history = await compareHistory(bus, marks).catch(() => 'unchecked' as const)
  if (history !== 'same') return history
  return { takenAt, since, forgottenUpTo, counted, marks, rows: () => text.rows() }
}

interface KeeperOptions extends SnapshotOptions {
  owner: Owner
  monotonic: () => number
  /** Of the cut that `cut` would give now. */
  marks: () => Marks
  /** undefined at a moment at which there is none. */
  cut: () => Cut | undefined
}

/**
 * Writes the snapshot of a reader every minute, if it has read anything since. Dispose of it after the reader: it then writes the last one,
 * with everything that was read.
 */
export class SnapshotKeeper implements AsyncDisposable {
  readonly #options: KeeperOptions
  readonly #timer: NodeJS.Timeout
  readonly #stop = new AbortController()
  #writing: Promise<void> | undefined
  #notBefore = 0
  #written: string | undefined

  constructor(options: KeeperOptions) {
    this.#options = options
    // A process that was killed while it wrote leaves a file of a snapshot's size.
    this.#writing = removeUnfinished(options.path)
      .catch((error) => options.onError?.(error))
      .finally(() => {
        this.#writing = undefined
      })
    this.#timer = setInterval(() => {
      if (options.monotonic() < this.#notBefore) return
      this.#writing ??= this.#write().finally(() => {
        this.#writing = undefined
      })
    }, options.everyMs ?? everyMs)
    this.#timer.unref()
  }

  async #write(): Promise<void> {
    const { monotonic, onWritten, onError, fs, owner } = this.#options
    let cut: Cut | undefined
    try {
      // Ahead of the cut, which costs memory.
      const marks = JSON.stringify(this.#options.marks())
      if (marks === this.#written) return
      const begun = monotonic()
      cut = this.#options.cut()
      if (cut === undefined) return
      const cutMs = monotonic() - begun
      const { rows, ...at } = cut
      const header: Header = { code: codeDigest(), owner: ownerOf(owner), ...at }
      const { bytes, longestMs } = await writeSnapshot(
        this.#options,
        { header: JSON.stringify(header), rows },
        { fs, monotonic, signal: this.#stop.signal },
      )
      this.#written = marks
      const tookMs = monotonic() - begun
      this.#notBefore = monotonic() + shareOfTime * tookMs
      onWritten?.({ bytes, tookMs, longestMs: Math.max(cutMs, longestMs) })
    } catch (error) {
      onError?.(error)
    } finally {
      cut?.rows.return?.()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    const late = setTimeout(() => this.#stop.abort(), mostAtStopMs)
    await this.#writing
    if (!this.#stop.signal.aborted) await this.#write()
    clearTimeout(late)
  }
}
