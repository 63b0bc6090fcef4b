import type { Subtree } from './subtrees.ts'
import { TILE_WIDTH, tilePath } from './tile-path.ts'
import { decodeTile, widthIn } from './tiles.ts'
import { isIndex, rootOf } from './tree.ts'

/**
 * Gives the bytes at a path under the log's prefix (`tile/…`), undefined when nothing is there. It rejects only when
 * it cannot know; that rejection goes through to whoever asked. It bounds what it reads: a full tile has 8,192 bytes.
 */
export type TileReader = (path: string) => Promise<Uint8Array | undefined>

/** A tile that the tree must have is missing, or has the wrong length. */
export class TileUnreadable extends Error {
  readonly code = 'log_inconsistent'
  readonly path: string
  readonly reason: 'missing' | 'malformed'

  constructor(path: string, reason: 'missing' | 'malformed') {
    super(`${path} is ${reason}`)
    this.name = 'TileUnreadable'
    this.path = path
    this.reason = reason
  }
}

/** Reads the hashes of one tree from tiles. It keeps every tile that it read: make one for each proof. */
export interface TreeTiles {
  /** The first hashes of a tile, as many as the tree has there. Rejects with `TileUnreadable`. */
  tile(level: number, index: number): Promise<Uint8Array[]>
  /** The root of a perfect subtree within the tree. Rejects with `TileUnreadable`, or RangeError when it is outside. */
  node(subtree: Subtree): Promise<Uint8Array>
}

/**
 * Reads the tree of `size` leaves. Where the tree's own partial tile is gone, the full tile of a log that has grown since
 * stands for it: a log may delete a partial tile once the full one exists (C2SP tlog-tiles, Partial Tiles).
 */
export function treeReader(read: TileReader, size: number): TreeTiles {
  if (!isIndex(size)) throw new RangeError('there is no tree of this size')
  const tiles = new Map<string, Promise<Uint8Array[]>>()

  async function readTile(level: number, index: number): Promise<Uint8Array[]> {
    const width = widthIn(size, level, index)
    if (width === 0) throw new RangeError('the tree has no such tile')
    // In this order nothing slips through: a log deletes a partial tile only once the full one is there.
    const path = tilePath({ level, index, width })
    const own = await read(path)
    if (own !== undefined) return decoded(own, width, path)
    const fullPath = tilePath({ level, index, width: TILE_WIDTH })
    const full = width === TILE_WIDTH ? undefined : await read(fullPath)
    if (full === undefined) throw new TileUnreadable(path, 'missing')
    return decoded(full, TILE_WIDTH, fullPath).slice(0, width)
  }

  function tile(level: number, index: number): Promise<Uint8Array[]> {
    const key = `${level}/${index}`
    const known = tiles.get(key) ?? readTile(level, index)
    tiles.set(key, known)
    return known
  }

  return {
    tile,
    async node({ height, index }) {
      if (!isIndex(height) || !isIndex(index) || (index + 1) * 2 ** height > size) {
        throw new RangeError('the tree has no such node')
      }
      const level = Math.floor(height / 8)
      const span = 2 ** (height % 8)
      const begin = (index * span) % TILE_WIDTH
      const hashes = await tile(level, Math.floor((index * span) / TILE_WIDTH))
      return rootOf(hashes.slice(begin, begin + span))
    },
  }
}

function decoded(bytes: Uint8Array, width: number, path: string): Uint8Array[] {
  const hashes = decodeTile(bytes, width)
  if (hashes === undefined) throw new TileUnreadable(path, 'malformed')
  return hashes
}
