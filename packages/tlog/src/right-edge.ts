import { perfectSubtrees } from './subtrees.ts'
import type { TileReader } from './tile-contents.ts'
import { TILE_WIDTH, tilePath } from './tile-path.ts'
import { treeReader } from './tile-reader.ts'
import { encodeTile, hashesAtLevel, partialTiles, tilesToWrite } from './tiles.ts'
import { Frontier } from './tree.ts'

/** A tile to be stored. */
export interface TileFile {
  readonly path: string
  readonly bytes: Uint8Array
}

/**
 * A growing tree as its only writer keeps it: the frontier, and for each level the hashes of the last tile. Memory is at
 * most 255 hashes per level, plus the tiles completed since the last `take`.
 */
export class RightEdge {
  #frontier = new Frontier()
  /** For each tile level: the hashes that are not in a full tile already taken. */
  #levels = new Map<number, Uint8Array[]>()
  #taken = 0

  /**
   * Rebuilds the edge of a tree of `size` leaves from its tiles. Rejects with `TileUnreadable`. It trusts the tiles:
   * compare `root()` with the checkpoint before appending.
   */
  static async read(read: TileReader, size: number): Promise<RightEdge> {
    const tree = treeReader(read, size)
    const edge = new RightEdge()
    const roots = await Promise.all(perfectSubtrees({ begin: 0, end: size }).map((subtree) => tree.node(subtree)))
    edge.#frontier = Frontier.of(size, roots)
    for (const { level, index } of partialTiles(size)) edge.#levels.set(level, await tree.tile(level, index))
    edge.#taken = size
    return edge
  }

  get size(): number {
    return this.#frontier.size
  }

  /** The Merkle Tree Hash of all leaves so far, taken or not. */
  root(): Uint8Array {
    return this.#frontier.root()
  }

  append(leafHash: Uint8Array): void {
    this.#frontier.append(leafHash, (height, root) => {
      if (height % 8 === 0) this.#level(height / 8).push(root)
    })
  }

  /**
   * The tiles that a checkpoint of this size needs and the last `take` did not return: `tilesToWrite` between the two
   * sizes, with their bytes. They must be durable before that checkpoint is published. Each is returned once. If storing
   * them fails, this edge is ahead of the store: drop it and `read` a new one.
   */
  take(): TileFile[] {
    const files = tilesToWrite(this.#taken, this.size).map((tile) => {
      const begin = tile.index * TILE_WIDTH - this.#firstKept(tile.level)
      return { path: tilePath(tile), bytes: encodeTile(this.#level(tile.level).slice(begin, begin + tile.width)) }
    })
    for (const hashes of this.#levels.values()) hashes.splice(0, hashes.length - (hashes.length % TILE_WIDTH))
    this.#taken = this.size
    return files
  }

  #level(level: number): Uint8Array[] {
    const hashes = this.#levels.get(level) ?? []
    this.#levels.set(level, hashes)
    return hashes
  }

  /** The index of a level's first hash in `#levels`: the start of the tile that was last when tiles were last taken. */
  #firstKept(level: number): number {
    const taken = hashesAtLevel(this.#taken, level)
    return taken - (taken % TILE_WIDTH)
  }
}
