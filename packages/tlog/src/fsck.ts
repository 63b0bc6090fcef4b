import { checkCopies, compareCopy, type FsckFault, firstLeaf } from './fsck-files.ts'
import { consistencyProof } from './proofs.ts'
import { perfectSubtrees } from './subtrees.ts'
import { readContents, type TileReader } from './tile-contents.ts'
import { TILE_WIDTH, type Tile } from './tile-path.ts'
import { TileUnreadable } from './tile-reader.ts'
import { type HashTile, partialTiles } from './tiles.ts'
import { Frontier, leafHash, rootOf, sameHash, type TreeHead } from './tree.ts'
import { verifyConsistency } from './verify-proofs.ts'

export type { FsckFault, FsckReason } from './fsck-files.ts'

export interface FsckOptions {
  /** May be controlled by an adversary: nothing that it returns is believed. The caller gets its rejections. */
  readonly read: TileReader
  /** The result of `openCheckpoint`. Everything else is checked against it, so it must have been verified. */
  readonly checkpoint: TreeHead
  /** Earlier checkpoints of the same log, also verified. Each must be the beginning of this tree. */
  readonly older?: readonly TreeHead[]
  /**
   * Gets each entry in order, proved to be in the tree at that index. A returned promise is awaited. The bytes
   * are a view that the reader may reuse: copy them to keep them.
   */
  readonly onEntry?: (index: number, entry: Uint8Array) => void | Promise<void>
  /** Called after each bundle with the number of entries done. */
  readonly onProgress?: (entries: number, size: number) => void
}

export type FsckResult = { readonly ok: true; readonly size: number; readonly root: Uint8Array } | FsckFault

/** The place at which a fault of the tree head itself is reported. */
const CHECKPOINT = 'checkpoint'

/**
 * Checks a whole log against a verified checkpoint, in one pass from the root down, holding one tile per level. The right
 * edge must give the root, each tile must match its hash in its parent, and each entry its leaf hash. Then every older
 * checkpoint must be a beginning of this tree. Going down, a parent is proved before its child is read. So the reported file
 * is the one at fault, never the one that it was compared with. Returns the first fault as a value.
 */
export async function fsck(options: FsckOptions): Promise<FsckResult> {
  const { size, root } = options.checkpoint
  const log = new Log(options)
  const fault = (await log.checkTree()) ?? (await log.checkOlder())
  return fault ?? { ok: true, size, root }
}

class Log {
  readonly #options: FsckOptions
  readonly #head: TreeHead
  readonly #older: readonly TreeHead[]
  /** For each place: the widths of the partial files that older checkpoints needed there. */
  readonly #olderWidths = new Map<string, Set<number>>()

  constructor(options: FsckOptions) {
    this.#options = options
    this.#head = options.checkpoint
    this.#older = options.older ?? []
    for (const { size } of this.#older) {
      for (const tile of partialTiles(Math.min(size, this.#head.size))) {
        for (const file of tile.level === 0 ? [tile, bundleOf(tile)] : [tile]) {
          const widths = this.#olderWidths.get(placeOf(file)) ?? new Set()
          this.#olderWidths.set(placeOf(file), widths.add(file.width))
        }
      }
    }
  }

  async checkTree(): Promise<FsckFault | undefined> {
    const edge: { tile: HashTile; path: string; hashes: readonly Uint8Array[] }[] = []
    // The highest tile covers the first leaves, so this order is the order of the entries.
    for (const tile of partialTiles(this.#head.size).reverse()) {
      const contents = await readContents(this.#options.read, tile)
      if (!('items' in contents)) return contents
      edge.push({ tile, path: contents.path, hashes: contents.items })
    }
    const hashes = edge.flatMap((each) => frontierOf(each.hashes))
    if (!sameHash(Frontier.of(this.#head.size, hashes).root(), this.#head.root)) {
      for (const each of edge) {
        const fault = await this.#disagreement(each.tile, each.path, each.hashes)
        if (fault !== undefined) return fault
      }
      return { ok: false, path: CHECKPOINT, reason: 'root_differs' }
    }
    for (const each of edge) {
      const fault = await this.#checkBelow(each.tile, each.hashes)
      if (fault !== undefined) return fault
    }
    return undefined
  }

  async checkOlder(): Promise<FsckFault | undefined> {
    const { read } = this.#options
    const { size } = this.#head
    for (const older of this.#older) {
      try {
        const proof = older.size > size ? [] : await consistencyProof(read, older.size, size)
        if (verifyConsistency(proof, older, this.#head)) continue
        return { ok: false, path: CHECKPOINT, reason: 'checkpoint_inconsistent', size: older.size }
      } catch (error) {
        // The reader now withholds a file that it gave earlier.
        if (error instanceof TileUnreadable) return { ok: false, path: error.path, reason: error.reason }
        throw error
      }
    }
    return undefined
  }

  /** Checks everything under a tile whose `hashes` are proved. */
  async #checkBelow(tile: HashTile, hashes: readonly Uint8Array[]): Promise<FsckFault | undefined> {
    const { read } = this.#options
    const fault = await checkCopies(read, tile, hashes, this.#olderWidths.get(placeOf(tile)))
    if (fault !== undefined) return fault
    if (tile.level === 0) return await this.#checkEntries(bundleOf(tile), hashes)
    for (const [at, hash] of hashes.entries()) {
      const child = childOf(tile, at)
      const contents = await readContents(read, child)
      if (!('items' in contents)) return contents
      if (!sameHash(rootOf(contents.items), hash)) {
        const place = await this.#disagreement(child, contents.path, contents.items)
        if (place?.path === contents.path) return place
        return { ok: false, path: contents.path, reason: 'tile_differs', index: firstLeaf(child, 0) }
      }
      const below = await this.#checkBelow(child, contents.items)
      if (below !== undefined) return below
    }
    return undefined
  }

  async #checkEntries(bundle: Tile, hashes: readonly Uint8Array[]): Promise<FsckFault | undefined> {
    const { read, onEntry, onProgress } = this.#options
    const contents = await readContents(read, bundle)
    if (!('items' in contents)) return contents
    const fault =
      compareCopy(bundle, contents, hashes) ??
      (await checkCopies(read, bundle, hashes, this.#olderWidths.get(placeOf(bundle))))
    if (fault !== undefined) return fault
    if (onEntry !== undefined) {
      for (const [at, entry] of contents.items.entries()) {
        const pending = onEntry(firstLeaf(bundle, at), entry)
        if (pending !== undefined) await pending
      }
    }
    onProgress?.(firstLeaf(bundle, contents.items.length), this.#head.size)
    return undefined
  }

  /**
   * Finds where a tile that is not the committed one differs from the level below it. Nothing below it is proved, so this only
   * compares neighbours. It finds a single wrong file, and nothing if the files below were changed to fit.
   */
  async #disagreement(tile: HashTile, path: string, hashes: readonly Uint8Array[]): Promise<FsckFault | undefined> {
    const { read } = this.#options
    if (tile.level === 0) {
      const bundle = await readContents(read, bundleOf(tile))
      if (!('items' in bundle)) return bundle
      return compareCopy(tile, { path, items: hashes }, bundle.items.map(leafHash))
    }
    for (const [at, hash] of hashes.entries()) {
      const child = await readContents(read, childOf(tile, at))
      if (!('items' in child)) return child
      if (!sameHash(rootOf(child.items), hash)) {
        return { ok: false, path, reason: 'tile_differs', index: firstLeaf(tile, at) }
      }
    }
    return undefined
  }
}

/** The place of a tile or bundle, regardless of its width. */
function placeOf({ level, index }: Tile): string {
  return `${level}/${index}`
}

function childOf({ level, index }: HashTile, at: number): HashTile {
  return { level: level - 1, index: index * TILE_WIDTH + at, width: TILE_WIDTH }
}

function bundleOf({ index, width }: Tile): Tile {
  return { level: 'entries', index, width }
}

/** The perfect subtrees that a partial tile contributes to the frontier, largest first. */
function frontierOf(hashes: readonly Uint8Array[]): Uint8Array[] {
  return perfectSubtrees({ begin: 0, end: hashes.length }).map(({ height, index }) =>
    rootOf(hashes.slice(index * 2 ** height, (index + 1) * 2 ** height)),
  )
}
