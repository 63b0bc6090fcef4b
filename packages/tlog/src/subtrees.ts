import { isIndex } from './tree.ts'

/** Leaves [begin, end) of a tree whose Merkle Tree Hash is needed. */
export interface Range {
  readonly begin: number
  readonly end: number
}

/** The perfect subtree of 2^height leaves that starts at leaf index × 2^height. */
export interface Subtree {
  readonly height: number
  readonly index: number
}

/**
 * The hashes of PATH(index, D[size]), leaf's sibling first, as the ranges that they cover (RFC 6962 §2.1.1).
 * Throws RangeError if the tree has no such leaf.
 */
export function inclusionRanges(index: number, size: number): Range[] {
  if (!isIndex(index) || !isIndex(size) || index >= size) throw new RangeError('the tree has no leaf of this index')
  const ranges: Range[] = []
  let begin = 0
  let end = size
  while (end - begin > 1) {
    const middle = begin + splitOf(end - begin)
    if (index < middle) {
      ranges.push({ begin: middle, end })
      end = middle
    } else {
      ranges.push({ begin, end: middle })
      begin = middle
    }
  }
  return ranges.reverse()
}

/**
 * The hashes of PROOF(from, D[to]) as the ranges that they cover (RFC 6962 §2.1.2). There are none between equal sizes or from the
 * empty tree, which every tree extends. Throws RangeError if `from` is beyond `to`.
 */
export function consistencyRanges(from: number, to: number): Range[] {
  if (!isIndex(from) || !isIndex(to) || from > to) throw new RangeError('a tree is only consistent with a larger one')
  if (from === 0 || from === to) return []
  const ranges: Range[] = []
  let begin = 0
  let end = to
  while (end !== from) {
    const middle = begin + splitOf(end - begin)
    if (from <= middle) {
      ranges.push({ begin: middle, end })
      end = middle
    } else {
      ranges.push({ begin, end: middle })
      begin = middle
    }
  }
  // The verifier already knows the hash of the whole older tree, but not of any smaller part.
  if (begin > 0) ranges.push({ begin, end })
  return ranges.reverse()
}

/** The perfect subtrees that make up [begin, end), leftmost first, where `begin` is a split point of the tree. */
export function perfectSubtrees({ begin, end }: Range): Subtree[] {
  const subtrees: Subtree[] = []
  for (let at = begin; at < end; ) {
    let height = 0
    while (at + 2 ** (height + 1) <= end) height++
    subtrees.push({ height, index: at / 2 ** height })
    at += 2 ** height
  }
  return subtrees
}

/** The largest power of two smaller than `size` (RFC 6962 §2.1's k); `size` is above 1. */
function splitOf(size: number): number {
  let split = 1
  while (split * 2 < size) split *= 2
  return split
}
