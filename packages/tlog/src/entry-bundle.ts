import { TILE_WIDTH } from './tile-path.ts'

/** The largest entry that a bundle can hold: its length is a uint16 (C2SP tlog-tiles). */
export const MAX_ENTRY_BYTES = 65_535

/**
 * A bundle's bytes: each of its 1 to 256 entries, preceded by its length as a big-endian uint16. A longer bundle of the same
 * log begins with exactly these bytes. Throws RangeError for another number of entries, or an entry over 65,535 bytes.
 */
export function encodeEntryBundle(entries: readonly Uint8Array[]): Uint8Array {
  if (entries.length < 1 || entries.length > TILE_WIDTH) throw new RangeError('a bundle has 1 to 256 entries')
  return encodeEntries(entries)
}

/** Any number of entries, framed as in a bundle. Throws RangeError for an entry over 65,535 bytes. */
export function encodeEntries(entries: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    entries.flatMap((entry) => {
      if (entry.length > MAX_ENTRY_BYTES) throw new RangeError('an entry has at most 65,535 bytes')
      return [Uint8Array.of(entry.length >> 8, entry.length & 0xff), entry]
    }),
  )
}

/** The entries of a bundle of that width, as views into `bytes`; undefined if there is one entry or one byte too few or too many. */
export function decodeEntryBundle(bytes: Uint8Array, width: number): Uint8Array[] | undefined {
  const entries: Uint8Array[] = []
  let at = 0
  while (entries.length < width) {
    const [high, low] = bytes.subarray(at, at + 2)
    if (high === undefined || low === undefined) return undefined
    const end = at + 2 + high * 256 + low
    entries.push(bytes.subarray(at + 2, end))
    at = end
  }
  // An entry that was cut short ends beyond the end of the bytes.
  return at === bytes.length ? entries : undefined
}
