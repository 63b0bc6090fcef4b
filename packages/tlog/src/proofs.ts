import { consistencyRanges, inclusionRanges, perfectSubtrees, type Range } from './subtrees.ts'
import type { TileReader } from './tile-contents.ts'
import { treeReader } from './tile-reader.ts'
import { nodeHash, rootOf } from './tree.ts'

/**
 * The inclusion proof of leaf `index` in the tree of `size` leaves, leaf's sibling first (RFC 6962 §2.1.1), read from
 * tiles. Throws RangeError for an index beyond the size, and `TileUnreadable` for a missing or malformed tile.
 * It trusts the tiles: verify the proof against a checkpoint before it leaves the process.
 */
export function inclusionProof(read: TileReader, index: number, size: number): Promise<Uint8Array[]> {
  return hashesFromTiles(read, size, inclusionRanges(index, size))
}

/**
 * The consistency proof between the trees of `from` and `to` leaves (RFC 6962 §2.1.2), read from tiles. Empty if
 * `from` is 0 or equals `to`. Throws as `inclusionProof` does, and also trusts the tiles.
 */
export function consistencyProof(read: TileReader, from: number, to: number): Promise<Uint8Array[]> {
  return hashesFromTiles(read, to, consistencyRanges(from, to))
}

/** The root of the tree of `size` leaves, read from the tiles of its right edge. Throws `TileUnreadable`. */
export async function rootFromTiles(read: TileReader, size: number): Promise<Uint8Array> {
  if (size === 0) return rootOf([])
  const [root] = await hashesFromTiles(read, size, [{ begin: 0, end: size }])
  return root as Uint8Array
}

/** `inclusionProof` over the leaf hashes of the whole tree, in memory. */
export function inclusionProofOf(leafHashes: readonly Uint8Array[], index: number): Uint8Array[] {
  return inclusionRanges(index, leafHashes.length).map(({ begin, end }) => rootOf(leafHashes.slice(begin, end)))
}

/** `consistencyProof` over the leaf hashes of the larger tree, in memory. */
export function consistencyProofOf(leafHashes: readonly Uint8Array[], from: number): Uint8Array[] {
  return consistencyRanges(from, leafHashes.length).map(({ begin, end }) => rootOf(leafHashes.slice(begin, end)))
}

function hashesFromTiles(read: TileReader, size: number, ranges: readonly Range[]): Promise<Uint8Array[]> {
  const tree = treeReader(read, size)
  return Promise.all(
    ranges.map(async (range) => {
      const roots = await Promise.all(perfectSubtrees(range).map((subtree) => tree.node(subtree)))
      return roots.reduceRight((right, left) => nodeHash(left, right))
    }),
  )
}
