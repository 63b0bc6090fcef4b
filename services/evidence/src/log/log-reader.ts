import {
  encodeTlogProof,
  hashesAtLevel,
  inclusionProof,
  leafHash,
  parseTilePath,
  readContents,
  TILE_WIDTH,
  verifyInclusion,
  widthIn,
} from '@bailiwick/tlog'
import type { LeafIndex } from '../index/leaf-index.ts'
import type { Published } from './log.ts'
import type { LogStorage } from './log-storage.ts'

/** The log as readers see it: nothing beyond the published checkpoint. */
export interface LogReader {
  checkpoint(): Published
  /** The newest checkpoint that the witnesses' quorum cosigned. If there is none, the newest checkpoint. */
  vouched(): Published
  /** A tile or entry bundle that the checkpoint covers, by its path; undefined for every other path. */
  tile(path: string): Promise<Uint8Array | undefined>
  /** A leaf's bytes. */
  leaf(index: number): Promise<Uint8Array | undefined>
  /** The receipt (C2SP tlog-proof) of an event's leaf; undefined if there is none yet. */
  proof(eventId: string): Promise<string | undefined>
}

export function logReader(
  storage: Pick<LogStorage, 'read'>,
  index: Pick<LeafIndex, 'indexOfEvent'>,
  checkpoint: () => Published,
  /** The newest checkpoint that the witnesses' quorum cosigned, if any. */
  witnessed: () => Published | undefined = () => undefined,
): LogReader {
  async function tile(path: string): Promise<Uint8Array | undefined> {
    const parsed = parseTilePath(path)
    if (parsed === undefined) return undefined
    // A crash may take back leaves beyond the checkpoint, and this answer may be cached for ever.
    const level = parsed.level === 'entries' ? 0 : parsed.level
    if (parsed.index * TILE_WIDTH + parsed.width > hashesAtLevel(checkpoint().size, level)) return undefined
    return storage.read(path)
  }

  const recent = new RecentBundles()
  async function readBundle(path: string): Promise<Uint8Array | undefined> {
    const bytes = recent.get(path) ?? (await storage.read(path))
    if (bytes !== undefined) recent.keep(path, bytes)
    return bytes
  }

  async function leaf(at: number): Promise<Uint8Array | undefined> {
    const bundle = Math.floor(at / TILE_WIDTH)
    const width = widthIn(checkpoint().size, 0, bundle)
    if (at - bundle * TILE_WIDTH >= width) return undefined
    const found = await readContents(readBundle, { level: 'entries', index: bundle, width })
    return 'items' in found ? found.items[at - bundle * TILE_WIDTH] : undefined
  }

  return {
    checkpoint,
    vouched: () => witnessed() ?? checkpoint(),
    tile,
    leaf,
    async proof(eventId) {
      const at = index.indexOfEvent(eventId)
      const vouched = witnessed()
      // Receipts are for verifiers that require the quorum: use the newest checkpoint only while no cosigned one covers the leaf.
      const { size, root, note } =
        vouched !== undefined && at !== undefined && at < vouched.size ? vouched : checkpoint()
      if (at === undefined || at >= size) return undefined
      const entry = await leaf(at)
      if (entry === undefined) return undefined
      const proof = await inclusionProof(storage.read, at, size)
      // Trust tiles only as far as they prove what was signed.
      if (!verifyInclusion({ leafHash: leafHash(entry), index: at, proof }, { size, root })) return undefined
      return encodeTlogProof({ index: at, proof, checkpoint: note })
    },
  }
}

const mostKept = 16 * 1024 * 1024

/** The most recently read bundles. A bundle has 256 leaves, and related leaves arrived together. The bytes of a path never change. */
class RecentBundles {
  /** In order of last use. */
  readonly #bundles = new Map<string, Uint8Array>()
  #bytes = 0

  get(path: string): Uint8Array | undefined {
    return this.#bundles.get(path)
  }

  keep(path: string, bytes: Uint8Array): void {
    if (!this.#bundles.delete(path)) this.#bytes += bytes.length
    this.#bundles.set(path, bytes)
    for (const [oldest, { length }] of this.#bundles) {
      if (this.#bytes <= mostKept || oldest === path) break
      this.#bundles.delete(oldest)
      this.#bytes -= length
    }
  }
}
