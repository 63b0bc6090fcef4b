import { decodeEntryBundle } from './entry-bundle.ts'
import { TILE_WIDTH, type Tile, tilePath } from './tile-path.ts'
import { decodeTile } from './tiles.ts'

/**
 * Returns the bytes at a path under the log's prefix (`tile/…`), undefined if no file exists there. It rejects only if it cannot tell, and
 * the caller gets that rejection. It must limit how much it reads: a full tile has 8,192 bytes.
 */
export type TileReader = (path: string) => Promise<Uint8Array | undefined>

/** A file's contents, and which file it was. */
export interface Contents {
  readonly path: string
  readonly items: readonly Uint8Array[]
}

/** A file that the tree must have is missing, or has the wrong length. */
export interface Unreadable {
  readonly ok: false
  readonly path: string
  readonly reason: 'missing' | 'malformed'
}

/**
 * The hashes of a tile or the entries of a bundle. If a partial file is missing, they are taken from the full file: a log may delete a
 * partial file once the full one exists (C2SP tlog-tiles, Partial Tiles). Looked for in this order, no file can be missed.
 */
export async function readContents(read: TileReader, tile: Tile): Promise<Contents | Unreadable> {
  for (const width of new Set([tile.width, TILE_WIDTH])) {
    const contents = await readCopy(read, { ...tile, width })
    if (contents !== undefined) return 'items' in contents ? firstOf(contents, tile.width) : contents
  }
  return { ok: false, path: tilePath(tile), reason: 'missing' }
}

/** A file of exactly this width; undefined if it is missing. */
export async function readCopy(read: TileReader, tile: Tile): Promise<Contents | Unreadable | undefined> {
  const path = tilePath(tile)
  const bytes = await read(path)
  if (bytes === undefined) return undefined
  const decode = tile.level === 'entries' ? decodeEntryBundle : decodeTile
  const items = decode(bytes, tile.width)
  return items === undefined ? { ok: false, path, reason: 'malformed' } : { path, items }
}

function firstOf({ path, items }: Contents, width: number): Contents {
  return { path, items: items.slice(0, width) }
}
