/** Hashes in a full tile, entries in a full bundle (C2SP tlog-tiles). */
export const TILE_WIDTH = 256

/**
 * One resource under `tile/`: a tile of hashes at a level (0 holds leaf hashes), or a bundle of entries.
 * `width` is 1 to 256; below 256 it is partial.
 */
export interface Tile {
  readonly level: number | 'entries'
  readonly index: number
  readonly width: number
}

const MAX_LEVEL = 63
const PATH = /^tile\/(entries|0|[1-9][0-9]?)\/((?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/

/**
 * `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`, relative to the log's prefix, without a leading slash.
 * Throws RangeError for an impossible tile.
 */
export function tilePath(tile: Tile): string {
  if (!isTile(tile)) throw new RangeError('there is no such tile')
  const partial = tile.width === TILE_WIDTH ? '' : `.p/${tile.width}`
  return `tile/${tile.level}/${indexPath(tile.index)}${partial}`
}

/**
 * The tile that a path names, or undefined. Strict: each tile has exactly one path, so an accepted path never names
 * a second file, and never leaves the log's directory.
 */
export function parseTilePath(path: string): Tile | undefined {
  const match = PATH.exec(path)
  if (match === null) return undefined
  const tile: Tile = {
    level: match[1] === 'entries' ? 'entries' : Number(match[1]),
    index: Number(match[2]?.replaceAll(/[x/]/g, '')),
    width: Number(match[3] ?? TILE_WIDTH),
  }
  return isTile(tile) && tilePath(tile) === path ? tile : undefined
}

/** Zero-padded groups of three digits, all but the last marked `x`: 1234067 is `x001/x234/067`. */
function indexPath(index: number): string {
  const digits = String(index)
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.../g) ?? []
  return groups.map((group, at) => (at < groups.length - 1 ? `x${group}` : group)).join('/')
}

function isTile({ level, index, width }: Tile): boolean {
  const levelExists = level === 'entries' || (Number.isInteger(level) && level >= 0 && level <= MAX_LEVEL)
  return (
    levelExists && Number.isSafeInteger(index) && index >= 0 && Number.isInteger(width) && width >= 1 && width <= 256
  )
}
