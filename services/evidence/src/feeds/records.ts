import { setImmediate as nextTurn } from 'node:timers/promises'
import type { OcsfEvent } from '@bailiwick/contracts'
import { encodeBase64url, type Trust } from '@bailiwick/credentials'
import { decodeEntryBundle, leafHash, TILE_WIDTH, tilePath, widthIn } from '@bailiwick/tlog'
import { traceLeaf } from '@bailiwick/verify'
import type { LeafIndex } from '../index/leaf-index.ts'
import type { Published } from '../log/log.ts'
import type { LogStorage } from '../log/log-storage.ts'
import { type OcsfLog, ocsfEvent } from './ocsf/ocsf-event.ts'
import type { StoryTeller } from './ocsf/story-teller.ts'
import { isUnread, unreadEvent } from './ocsf/tell-unread.ts'
import type { LeafEvent } from './ocsf/told.ts'

/** A leaf, as feeds pass it on. */
export interface FeedRecord {
  index: number
  traceparent: string | undefined
  event: OcsfEvent
  /** `event`, as one line of JSON. */
  json: string
}

export interface RecordsOptions {
  storage: Pick<LogStorage, 'read'>
  checkpoint: () => Published
  stories: Pick<StoryTeller, 'begin' | 'of'>
  index: Pick<LeafIndex, 'isVoid' | 'size'>
  trust: Trust
  origin: string
}

/** Characters of JSON that are kept for feeds that follow close behind, so that each leaf is converted once for all of them. */
const keptCharacters = 2 * 1024 * 1024
/** Leaves that are converted in one turn of the thread, in about a millisecond: decisions may be made on the same thread. */
const leavesOfTurn = 4

/** The leaves of the log in OCSF, converted on request. The log itself is the spool of the feeds. */
export class Records {
  readonly #options: RecordsOptions
  readonly #log: OcsfLog
  readonly #kept = new Map<number, FeedRecord>()
  #keptLength = 0
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: RecordsOptions) {
    this.#options = options
    const { trust, origin } = options
    this.#log = { installation: trust.installation, origin, vkey: trust.log.vkey }
  }

  /** Leaves that feeds may pass on: those under the published checkpoint for which it is known whether they have effect. */
  get size(): number {
    return Math.min(this.#options.checkpoint().size, this.#options.index.size)
  }

  /** At most `most` leaves from `from` on. Calls run one at a time. */
  read(from: number, most: number): Promise<FeedRecord[]> {
    const mine = this.#turn.then(() => this.#read(from, most))
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  async #read(from: number, most: number): Promise<FeedRecord[]> {
    const { checkpoint, stories, storage } = this.#options
    const published = checkpoint()
    const to = Math.min(this.size, from + most)
    const records: FeedRecord[] = []
    for (let known = this.#kept.get(from); known !== undefined && from < to; known = this.#kept.get(from)) {
      records.push(known)
      from++
    }
    if (from >= to) return records
    stories.begin()
    for await (const { index, bytes } of leavesOf(storage, from, to, published.size)) {
      const record = await this.#tell(index, bytes, published)
      this.#keep(record)
      records.push(record)
      if (records.length % leavesOfTurn === 0) await nextTurn()
    }
    return records
  }

  async #tell(index: number, bytes: Uint8Array, published: Published): Promise<FeedRecord> {
    const leaf = traceLeaf(index, bytes)
    const event = leaf === undefined ? unreadEvent(bytes) : (leaf.event as LeafEvent)
    const hash = encodeBase64url(leafHash(bytes))
    const told = ocsfEvent(
      { index, hash, topic: leaf?.topic ?? 'unknown', event, isVoid: this.#options.index.isVoid(index) },
      isUnread(event) ? {} : await this.#options.stories.of(event),
      this.#log,
      published,
    )
    return { index, traceparent: leaf?.event.traceparent, event: told, json: oneLine(told) }
  }

  #keep(record: FeedRecord): void {
    this.#keptLength += record.json.length - (this.#kept.get(record.index)?.json.length ?? 0)
    this.#kept.set(record.index, record)
    for (const [index, { json }] of this.#kept) {
      if (this.#keptLength <= keptCharacters) break
      this.#kept.delete(index)
      this.#keptLength -= json.length
    }
  }
}

/** Leaves `from` up to `to` of a log of `size` leaves. A bundle may meanwhile be full: it has the width for that size, or it has grown. */
async function* leavesOf(storage: Pick<LogStorage, 'read'>, from: number, to: number, size: number) {
  for (let bundle = Math.floor(from / TILE_WIDTH); bundle * TILE_WIDTH < to; bundle++) {
    const read = async (width: number) => {
      const bytes = await storage.read(tilePath({ level: 'entries', index: bundle, width }))
      return bytes && decodeEntryBundle(bytes, width)
    }
    const first = bundle * TILE_WIDTH
    const entries = (await read(widthIn(size, 0, bundle))) ?? (await read(TILE_WIDTH))
    if (entries === undefined) throw new Error(`the entries from ${first} on cannot be read`)
    for (let index = Math.max(from, first); index < Math.min(to, first + TILE_WIDTH); index++) {
      const bytes = entries[index - first]
      if (bytes !== undefined) yield { index, bytes }
    }
  }
}

/** Some readers end lines where JSON does not: at U+0085, U+2028, U+2029. */
export const oneLine = (event: OcsfEvent): string =>
  JSON.stringify(event).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
