import { hash } from 'node:crypto'

/** Bytes of a SHA-256 hash, the only hash of C2SP tlog-tiles. */
export const HASH_BYTES = 32

/** A tree as a checkpoint describes it: the number of leaves, and their Merkle Tree Hash (32 bytes). */
export interface TreeHead {
  readonly size: number
  readonly root: Uint8Array
}

/** Through a string: for 32 bytes, `'buffer'` takes twice as long, because it makes memory of its own for each hash. */
const sha256 = (input: Uint8Array): Uint8Array => Buffer.from(hash('sha256', input, 'latin1'), 'latin1')

/** Written anew for each hash. Nothing else runs meanwhile. The first byte says what is hashed. */
const leafInput = new Uint8Array(65_536)
const nodeInput = Uint8Array.of(1, ...new Uint8Array(2 * HASH_BYTES))

/** SHA-256(0x00 ‖ entry), the hash of a leaf (RFC 6962 §2.1). */
export function leafHash(entry: Uint8Array): Uint8Array {
  const size = 1 + entry.length
  const input = size > leafInput.length ? new Uint8Array(size) : leafInput.subarray(0, size)
  input.set(entry, 1)
  return sha256(input)
}

/** SHA-256(0x01 ‖ left ‖ right), the hash of an inner node (RFC 6962 §2.1). Both children are 32 bytes. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  // A shorter left and a longer right child would give the same input, and so two trees with one root.
  if (!isHash(left) || !isHash(right)) throw new RangeError('a child of a node is not a hash of 32 bytes')
  nodeInput.set(left, 1)
  nodeInput.set(right, 1 + HASH_BYTES)
  return sha256(nodeInput)
}

/** SHA-256 of nothing, the root of the empty tree (RFC 6962 §2.1). */
export function emptyRoot(): Uint8Array {
  return hash('sha256', '', 'buffer')
}

/** The Merkle Tree Hash (RFC 6962 §2.1) over leaf hashes, not over entries. */
export function rootOf(leafHashes: Iterable<Uint8Array>): Uint8Array {
  const frontier = new Frontier()
  for (const leaf of leafHashes) frontier.append(leaf)
  return frontier.root()
}

/** Whether two hashes are the same bytes. Hashes of a log are public, so this need not take constant time. */
export function sameHash(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

/** Whether a value from outside is a hash at all. */
export function isHash(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.length === HASH_BYTES
}

/** Whether a value from outside can be an index or a size. Beyond 2^53 a number no longer identifies one leaf. */
export function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/**
 * The compact range [0, size): the roots of the perfect subtrees whose sizes are the binary digits of `size`, largest
 * first. Appending needs nothing else, so a log of any size grows and gives its root in O(log n) memory.
 */
export class Frontier {
  #size = 0
  #hashes: Uint8Array[] = []

  /** Rebuilds a frontier from the `hashes` of that size. Throws RangeError if their number does not fit the size. */
  static of(size: number, hashes: readonly Uint8Array[]): Frontier {
    if (!isIndex(size) || hashes.length !== onesOf(size) || !hashes.every(isHash)) {
      throw new RangeError('the hashes are not the frontier of a tree of this size')
    }
    const frontier = new Frontier()
    frontier.#size = size
    frontier.#hashes = [...hashes]
    return frontier
  }

  get size(): number {
    return this.#size
  }

  /** The roots of the perfect subtrees, largest (leftmost) first. */
  get hashes(): readonly Uint8Array[] {
    return [...this.#hashes]
  }

  /**
   * Adds a leaf hash. `onNode` is called for each perfect subtree that this leaf completes, lowest first, with its height (0 is the
   * leaf itself) and its root.
   */
  append(leaf: Uint8Array, onNode?: (height: number, root: Uint8Array) => void): void {
    if (!isHash(leaf)) throw new RangeError('a leaf hash has 32 bytes')
    let root = leaf
    let height = 0
    onNode?.(height, root)
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) {
      root = nodeHash(this.#hashes.pop() as Uint8Array, root)
      onNode?.(++height, root)
    }
    this.#hashes.push(root)
    this.#size++
  }

  /** The Merkle Tree Hash of all leaves so far. */
  root(): Uint8Array {
    return this.#size === 0 ? emptyRoot() : this.#hashes.reduceRight((right, left) => nodeHash(left, right))
  }
}

function onesOf(size: number): number {
  let ones = 0
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) ones += rest % 2
  return ones
}
