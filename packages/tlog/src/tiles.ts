import { TILE_WIDTH, type Tile } from './tile-path.ts'
import { HASH_BYTES, isHash, isIndex } from './tree.ts'

/** A tile of hashes, as opposed to a bundle of entries. */
export interface HashTile extends Tile {
  readonly level: number
}

/** How many hashes a tree of `size` leaves has at a tile level: floor(size / 256^level). */
export function hashesAtLevel(size: number, level: number): number {
  return Math.floor(size / TILE_WIDTH ** level)
}

/** How many tile levels a tree of `size` leaves has: 0 when empty, 1 up to 255 leaves, 2 from 256 on. */
export function tileLevels(size: number): number {
  let levels = 0
  while (hashesAtLevel(size, levels) > 0) levels++
  return levels
}

/** The width of tile `index` of a level in a tree of `size` leaves: 256, less if partial, 0 if it does not exist yet. */
export function widthIn(size: number, level: number, index: number): number {
  return Math.max(0, Math.min(TILE_WIDTH, hashesAtLevel(size, level) - index * TILE_WIDTH))
}

/**
 * The hash tiles to write when a tree grows from `from` to `to` leaves: at every level each tile that gained a
 * hash, the last of them partial unless it is full; level 0 first, then by index. Never an empty tile. A tree of
 * `to` leaves needs `tilesToWrite(0, to)` in total. Throws RangeError if `from` is beyond `to`.
 */
export function tilesToWrite(from: number, to: number): HashTile[] {
  return Array.from({ length: tileLevels(to) }, (_, level) =>
    grown(level, hashesAtLevel(from, level), hashesAtLevel(to, level)),
  ).flat()
}

/** The entry bundles to write when a log grows from `from` to `to` entries, in the same way as `tilesToWrite`. */
export function bundlesToWrite(from: number, to: number): Tile[] {
  return grown('entries', from, to)
}

/**
 * The partial tiles of a tree of exactly `size` leaves, lowest level first: its right edge, which together with
 * the size determines the root. The bundle of entries, if partial, has the index and width of the tile at level 0.
 */
export function partialTiles(size: number): HashTile[] {
  return Array.from({ length: tileLevels(size) }, (_, level) => {
    const hashes = hashesAtLevel(size, level)
    return { level, index: Math.floor(hashes / TILE_WIDTH), width: hashes % TILE_WIDTH }
  }).filter((tile) => tile.width > 0)
}

/** A tile's bytes: its 1 to 256 hashes, one after the other. Throws RangeError for another number, or an invalid hash. */
export function encodeTile(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length < 1 || hashes.length > TILE_WIDTH || !hashes.every(isHash)) {
    throw new RangeError('a tile has 1 to 256 hashes of 32 bytes')
  }
  return Buffer.concat(hashes)
}

/** The hashes of a tile of that width, as views into `bytes`; undefined unless `bytes` has exactly the right length. */
export function decodeTile(bytes: Uint8Array, width: number): Uint8Array[] | undefined {
  if (bytes.length !== width * HASH_BYTES) return undefined
  return Array.from({ length: width }, (_, at) => bytes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES))
}

function grown<Level extends Tile['level']>(level: Level, from: number, to: number): (Tile & { level: Level })[] {
  if (!isIndex(from) || !isIndex(to) || from > to) throw new RangeError('a tree only grows')
  const tiles: (Tile & { level: Level })[] = []
  if (from === to) return tiles
  for (let index = Math.floor(from / TILE_WIDTH); index * TILE_WIDTH < to; index++) {
    tiles.push({ level, index, width: Math.min(TILE_WIDTH, to - index * TILE_WIDTH) })
  }
  return tiles
}
