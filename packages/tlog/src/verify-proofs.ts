import { emptyRoot, isHash, isIndex, nodeHash, sameHash, type TreeHead } from './tree.ts'

/** The claim of an inclusion proof: the leaf with this hash is at this index. */
export interface InclusionClaim {
  readonly leafHash: Uint8Array
  readonly index: number
  /** Leaf's sibling first. */
  readonly proof: readonly Uint8Array[]
}

/**
 * Whether the leaf is in the tree, by RFC 9162 §2.1.3.2. Never throws: anything that does not verify is false. Every argument
 * except the tree head may come from an adversary.
 */
export function verifyInclusion({ leafHash, index, proof }: InclusionClaim, tree: TreeHead): boolean {
  if (!isTreeHead(tree) || !isHash(leafHash) || !isProof(proof) || !isIndex(index) || index >= tree.size) return false
  let node = index
  let last = tree.size - 1
  let root = leafHash
  for (const sibling of proof) {
    if (last === 0) return false
    if (isOdd(node) || node === last) {
      root = nodeHash(sibling, root)
      // At the right edge a node without a sibling is its parent: climb to where one exists.
      while (!isOdd(node) && node !== 0) {
        node = half(node)
        last = half(last)
      }
    } else {
      root = nodeHash(root, sibling)
    }
    node = half(node)
    last = half(last)
  }
  return last === 0 && sameHash(root, tree.root)
}

/**
 * Whether the newer tree begins with all the leaves of the older one, by RFC 9162 §2.1.4.2. Never throws. Equal sizes
 * need equal roots and no proof. The empty tree, with its own root, is the beginning of every tree.
 */
export function verifyConsistency(proof: readonly Uint8Array[], older: TreeHead, newer: TreeHead): boolean {
  if (!isTreeHead(older) || !isTreeHead(newer) || !isProof(proof) || older.size > newer.size) return false
  if (older.size === newer.size) return proof.length === 0 && sameHash(older.root, newer.root)
  if (older.size === 0) return proof.length === 0

  let node = older.size - 1
  let last = newer.size - 1
  while (isOdd(node)) {
    node = half(node)
    last = half(last)
  }
  // An older tree that is one perfect subtree is itself the first hash, and the proof omits it.
  const [first, ...rest] = node === 0 ? [older.root, ...proof] : proof
  if (first === undefined) return false
  let olderRoot = first
  let newerRoot = first
  for (const hash of rest) {
    if (last === 0) return false
    if (isOdd(node) || node === last) {
      olderRoot = nodeHash(hash, olderRoot)
      newerRoot = nodeHash(hash, newerRoot)
      while (!isOdd(node) && node !== 0) {
        node = half(node)
        last = half(last)
      }
    } else {
      newerRoot = nodeHash(newerRoot, hash)
    }
    node = half(node)
    last = half(last)
  }
  return last === 0 && sameHash(olderRoot, older.root) && sameHash(newerRoot, newer.root)
}

/** The empty tree has exactly one root, so a head that states another root for it is not a tree head. */
function isTreeHead(tree: TreeHead): boolean {
  return isIndex(tree?.size) && isHash(tree.root) && (tree.size > 0 || sameHash(tree.root, emptyRoot()))
}

function isProof(proof: unknown): boolean {
  return Array.isArray(proof) && proof.every(isHash)
}

// Not `& 1` and `>> 1`: these truncate a number to 32 bits, and tree sizes go up to 2^53.
function isOdd(n: number): boolean {
  return n % 2 === 1
}

function half(n: number): number {
  return Math.floor(n / 2)
}
