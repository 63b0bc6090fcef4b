import { createHash } from 'node:crypto'
import type { TileReader } from './tile-contents.ts'

/**
 * The oracle of this package's tests: RFC 6962 and C2SP tlog-tiles implemented literally from their texts. It is recursive and
 * slow, and shares nothing with the code under test.
 */
const sha256 = (...parts: Uint8Array[]): Uint8Array => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** MTH(D[n]) of RFC 6962 §2.1, over leaf hashes. */
export function mth(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha256()
  if (leaves.length === 1) return leaves[0] as Uint8Array
  const k = split(leaves.length)
  return sha256(Uint8Array.of(1), mth(leaves.slice(0, k)), mth(leaves.slice(k)))
}

/** PATH(m, D[n]) of RFC 6962 §2.1.1. */
export function path(m: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (leaves.length === 1) return []
  const k = split(leaves.length)
  return m < k
    ? [...path(m, leaves.slice(0, k)), mth(leaves.slice(k))]
    : [...path(m - k, leaves.slice(k)), mth(leaves.slice(0, k))]
}

/** PROOF(m, D[n]) of RFC 6962 §2.1.2. */
export function proof(m: number, leaves: readonly Uint8Array[], isWhole = true): Uint8Array[] {
  if (m === leaves.length) return isWhole ? [] : [mth(leaves)]
  const k = split(leaves.length)
  return m <= k
    ? [...proof(m, leaves.slice(0, k), isWhole), mth(leaves.slice(k))]
    : [...proof(m - k, leaves.slice(k), false), mth(leaves.slice(0, k))]
}

export const leafOf = (entry: Uint8Array): Uint8Array => sha256(Uint8Array.of(0), entry)

export const entryOf = (index: number): Uint8Array => new TextEncoder().encode(`entry ${index}`)

/** The files of a log of these entries that published a checkpoint at each of `sizes`. The last size covers all entries. */
export function naiveLog(entries: readonly Uint8Array[], sizes: readonly number[] = [entries.length]) {
  const files = new Map<string, Uint8Array>()
  const leaves = entries.map(leafOf)
  for (const size of sizes) {
    for (let level = 0, hashes = leaves.slice(0, size); hashes.length > 0; level++) {
      for (let n = 0; n * 256 < hashes.length; n++) {
        const tile = hashes.slice(n * 256, (n + 1) * 256)
        const suffix = tile.length < 256 ? `.p/${tile.length}` : ''
        files.set(`tile/${level}/${padded(n)}${suffix}`, Buffer.concat(tile))
        if (level === 0) {
          const bundle = entries.slice(n * 256, n * 256 + tile.length)
          files.set(`tile/entries/${padded(n)}${suffix}`, Buffer.concat(bundle.flatMap((e) => [uint16(e.length), e])))
        }
      }
      const full = Math.floor(hashes.length / 256)
      hashes = Array.from({ length: full }, (_, n) => mth(hashes.slice(n * 256, (n + 1) * 256)))
    }
  }
  const heads = sizes.map((size) => ({ size, root: mth(leaves.slice(0, size)) }))
  return { files, leaves, heads, head: heads.at(-1) as { size: number; root: Uint8Array } }
}

export const readerOf =
  (files: ReadonlyMap<string, Uint8Array>): TileReader =>
  async (file) =>
    files.get(file)

const split = (n: number): number => 2 ** (Math.ceil(Math.log2(n)) - 1)

const uint16 = (n: number): Uint8Array => Uint8Array.of(Math.floor(n / 256), n % 256)

/** Only for numbers below 1,000. Larger indexes have their own tests. */
const padded = (n: number): string => String(n).padStart(3, '0')
