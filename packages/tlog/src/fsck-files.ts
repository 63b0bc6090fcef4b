import { type Contents, readCopy, type TileReader } from './tile-contents.ts'
import { TILE_WIDTH, type Tile, tilePath } from './tile-path.ts'
import { leafHash, sameHash } from './tree.ts'

/**
 * `missing`, `malformed` (wrong length, trailing bytes), `tile_differs` or `entry_differs` (not what the checkpoint's
 * root commits to), `root_differs` (the files agree with each other, but not with the checkpoint), `checkpoint_inconsistent`
 * (the older tree of `size` leaves is not the beginning of this one).
 */
export type FsckReason =
  | 'missing'
  | 'malformed'
  | 'tile_differs'
  | 'entry_differs'
  | 'root_differs'
  | 'checkpoint_inconsistent'

/** The first fault of a log: the file and, if known, the index of the first affected leaf. */
export interface FsckFault {
  readonly ok: false
  readonly path: string
  readonly reason: FsckReason
  readonly index?: number
  /** Only for `checkpoint_inconsistent`: the older checkpoint's size. */
  readonly size?: number
}

/**
 * Checks the other files that a reader may be given for the same place: the partial files of older checkpoints (`olderWidths`), and
 * the full file if the log has grown beyond this checkpoint. Only entries that both files hold can be compared. The log may have
 * deleted a partial file once the full one exists, but not earlier (C2SP tlog-tiles, Partial Tiles).
 */
export async function checkCopies(
  read: TileReader,
  tile: Tile,
  hashes: readonly Uint8Array[],
  olderWidths: Iterable<number> = [],
): Promise<FsckFault | undefined> {
  let hasFull = tile.width === TILE_WIDTH
  const checkFull = async (): Promise<FsckFault | undefined> => {
    const full = hasFull ? undefined : await readCopy(read, { ...tile, width: TILE_WIDTH })
    hasFull ||= full !== undefined
    return full === undefined || !('items' in full) ? full : compareCopy(tile, full, hashes)
  }
  const fault = await checkFull()
  if (fault !== undefined) return fault
  for (const width of olderWidths) {
    if (width === tile.width) continue
    const copy = await readCopy(read, { ...tile, width })
    // In a growing log the full file may have appeared since it was looked for, and the partial files may be gone.
    const wrong = copy === undefined ? await checkFull() : 'items' in copy ? compareCopy(tile, copy, hashes) : copy
    if (wrong !== undefined) return wrong
    if (copy === undefined && !hasFull) return { ok: false, path: tilePath({ ...tile, width }), reason: 'missing' }
  }
  return undefined
}

/** The first entry of a bundle, or hash of a tile, that differs from the committed one in `hashes`. */
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
