import { type Contents, readCopy, type TileReader } from './tile-contents.ts'
import { TILE_WIDTH, type Tile, tilePath } from './tile-path.ts'
import { leafHash, sameHash } from './tree.ts'

/**
 * `missing`, `malformed` (wrong length, trailing bytes), `tile_differs` or `entry_differs` (not what the checkpoint's
 * root commits to), `root_differs` (the files agree with each other, not with the checkpoint), `checkpoint_inconsistent`
 * (the older tree of `size` leaves is not the beginning of this one).
 */
export type FsckReason =
  | 'missing'
  | 'malformed'
  | 'tile_differs'
  | 'entry_differs'
  | 'root_differs'
  | 'checkpoint_inconsistent'

/** The first fault of a log: which file, and where known the index of the first leaf that it concerns. */
export interface FsckFault {
  readonly ok: false
  readonly path: string
  readonly reason: FsckReason
  readonly index?: number
  /** Of `checkpoint_inconsistent`: the older checkpoint's size. */
  readonly size?: number
}

/**
 * Checks the other files that a reader may be given for the same place: those of older checkpoints (`olderWidths`), and
 * the full one when the log has grown beyond this checkpoint. Only what both hold can be compared. The log may have
 * deleted a partial file once the full one exists, but not before (C2SP tlog-tiles, Partial Tiles).
 */
export async function checkCopies(
  read: TileReader,
  tile: Tile,
  hashes: readonly Uint8Array[],
  olderWidths: Iterable<number> = [],
): Promise<FsckFault | undefined> {
  const full = tile.width < TILE_WIDTH ? await readCopy(read, { ...tile, width: TILE_WIDTH }) : undefined
  if (full !== undefined) {
    const fault = 'items' in full ? compareCopy(tile, full, hashes) : full
    if (fault !== undefined) return fault
  }
  const hasFull = tile.width === TILE_WIDTH || full !== undefined
  for (const width of olderWidths) {
    if (width === tile.width) continue
    const copy = await readCopy(read, { ...tile, width })
    if (copy === undefined && hasFull) continue
    if (copy === undefined) return { ok: false, path: tilePath({ ...tile, width }), reason: 'missing' }
    const fault = 'items' in copy ? compareCopy(tile, copy, hashes) : copy
    if (fault !== undefined) return fault
  }
  return undefined
}

/** The first entry of a bundle, or hash of a tile, that is not the one committed to; `hashes` are. */
export function compareCopy(tile: Tile, copy: Contents, hashes: readonly Uint8Array[]): FsckFault | undefined {
  const isBundle = tile.level === 'entries'
  for (const [at, item] of copy.items.slice(0, hashes.length).entries()) {
    if (sameHash(isBundle ? leafHash(item) : item, hashes[at] as Uint8Array)) continue
    const reason = isBundle ? 'entry_differs' : 'tile_differs'
    return { ok: false, path: copy.path, reason, index: firstLeaf(tile, at) }
  }
  return undefined
}

/** The index of the first leaf under the hash, or of the entry, at this position of a tile or bundle. */
export function firstLeaf({ level, index }: Tile, at: number): number {
  return (index * TILE_WIDTH + at) * (level === 'entries' ? 1 : TILE_WIDTH ** level)
}
