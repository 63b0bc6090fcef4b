import type { Subtree } from './subtrees.ts'
import { readContents, type TileReader, type Unreadable } from './tile-contents.ts'
import { TILE_WIDTH } from './tile-path.ts'
import { widthIn } from './tiles.ts'
import { isIndex, rootOf } from './tree.ts'

/** A tile that the tree must have is missing, or has the wrong length. */
export class TileUnreadable extends Error {
  readonly code = 'log_inconsistent'
  readonly path: string
  readonly reason: Unreadable['reason']

  constructor({ path, reason }: Unreadable) {
    super(`${path} is ${reason}`)
    this.name = 'TileUnreadable'
    this.path = path
    this.reason = reason
  }
}

/** Reads the hashes of one tree from tiles. It keeps every tile that it has read, so make one for each proof. */
export interface TreeTiles {
  /** The first hashes of a tile, as many as this tree has there. Rejects with `TileUnreadable`. */
  tile(level: number, index: number): Promise<Uint8Array[]>
  /** The root of a perfect subtree within the tree. Rejects with `TileUnreadable`, or with RangeError if it is outside. */
  node(subtree: Subtree): Promise<Uint8Array>
}

/** Reads the tree of `size` leaves. If the log has grown since, full tiles replace partial ones that are gone. */
export function treeReader(read: TileReader, size: number): TreeTiles {
  if (!isIndex(size)) throw new RangeError('there is no tree of this size')
  const tiles = new Map<string, Promise<Uint8Array[]>>()

  async function readTile(level: number, index: number): Promise<Uint8Array[]> {
    const width = widthIn(size, level, index)
    if (width === 0) throw new RangeError('the tree has no such tile')
    const found = await readContents(read, { level, index, width })
    if (!('items' in found)) throw new TileUnreadable(found)
    return [...found.items]
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
