import fc from 'fast-check'
import { expect, it } from 'vitest'
import { entryOf, leafOf, mth, naiveLog, path, proof, readerOf } from './naive-log.ts'
import { consistencyProof, consistencyProofOf, inclusionProof, inclusionProofOf } from './proofs.ts'
import { emptyRoot, nodeHash, type TreeHead } from './tree.ts'
import { verifyConsistency, verifyInclusion } from './verify-proofs.ts'

const MAX = 70
const leaves = Array.from({ length: MAX }, (_, n) => leafOf(entryOf(n)))
const heads: TreeHead[] = Array.from({ length: MAX + 1 }, (_, size) => ({ size, root: mth(leaves.slice(0, size)) }))
const head = (size: number) => heads[size] as TreeHead
const leaf = (index: number) => leaves[index] as Uint8Array
const hexes = (hashes: readonly Uint8Array[]) => hashes.map((hash) => Buffer.from(hash).toString('hex'))

function* sizesAndIndexes() {
  for (let size = 1; size <= MAX; size++) for (let index = 0; index < size; index++) yield { size, index }
}

function* pairs() {
  for (let to = 0; to <= MAX; to++) for (let from = 0; from <= to; from++) yield { from, to }
}

const flipped = (bytes: Uint8Array, bit: number) =>
  bytes.map((byte, at) => (at === Math.floor(bit / 8) ? byte ^ (1 << (bit % 8)) : byte))

/** Every bit in trees of up to 8 leaves. For larger trees, where that would take minutes, one bit that varies by place. */
const bitsOf = (size: number, salt: number) =>
  size <= 8 ? Array.from({ length: 256 }, (_, n) => n) : [(size * 7 + salt * 13) % 256]

it('proves every leaf of every tree, with the path of RFC 6962', () => {
  for (const { size, index } of sizesAndIndexes()) {
    const found = inclusionProofOf(leaves.slice(0, size), index)
    expect(hexes(found)).toEqual(hexes(path(index, leaves.slice(0, size))))
    expect(verifyInclusion({ leafHash: leaf(index), index, proof: found }, head(size))).toBe(true)
  }
})

it('refuses an inclusion proof with any bit of proof, root or leaf changed, at another index or size', {
  timeout: 180_000,
}, () => {
  for (const { size, index } of sizesAndIndexes()) {
    const claim = { leafHash: leaf(index), index, proof: path(index, leaves.slice(0, size)) }
    const tree = head(size)
    const refused = (other: Partial<typeof claim>, otherTree: Partial<TreeHead> = {}) => {
      if (verifyInclusion({ ...claim, ...other }, { ...tree, ...otherTree }))
        expect({ size, index, other }).toBe('refused')
    }
    for (const bit of bitsOf(size, index)) {
      refused({ leafHash: flipped(claim.leafHash, bit) })
      refused({}, { root: flipped(tree.root, bit) })
    }
    for (const [at, hash] of claim.proof.entries()) {
      for (const bit of bitsOf(size, index + at)) refused({ proof: claim.proof.with(at, flipped(hash, bit)) })
    }
    const cut = index % Math.max(1, claim.proof.length)
    if (size > 1) refused({ proof: claim.proof.toSpliced(cut, 1) })
    refused({ proof: claim.proof.toSpliced(cut, 0, leaf(cut)) })
    const others =
      size <= 16 ? Array.from({ length: size + 1 }, (_, n) => n) : [0, index - 1, index + 1, index ^ 2, size - 1]
    for (const other of others) if (other !== index) refused({ index: other })
    refused({ proof: [...claim.proof, leaf(0)] })
    refused({ index: -index - 1 })
    refused({ index: index + 0.5 })
    refused({ index: index + 2 ** 32 })
    refused({}, { size: 0 })
  }
})

it('refuses an inclusion proof for a tree of another size whose path has another shape', () => {
  // Only where the path differs: (index 0, size 3) and (index 0, size 4) have the same shape, and only the root tells them apart.
  const claim = { leafHash: leaf(0), index: 0, proof: path(0, leaves.slice(0, 7)) }
  for (const size of [1, 2, 3, 4, 9, 16, 2 ** 52]) expect(verifyInclusion(claim, { ...head(7), size })).toBe(false)
})

it('refuses a proof longer than the tree is high, even one that leads to the root', () => {
  const higher = { size: 1, root: nodeHash(leaf(1), leaf(0)) }
  expect(verifyInclusion({ leafHash: leaf(0), index: 0, proof: [leaf(1)] }, higher)).toBe(false)
  const newer = { size: 2, root: nodeHash(leaf(2), nodeHash(leaf(0), leaf(1))) }
  expect(verifyConsistency([leaf(1), leaf(2)], head(1), newer)).toBe(false)
  const on = (root: Uint8Array) => nodeHash(leaf(9), root)
  const [three, four] = [
    { size: 3, root: on(head(3).root) },
    { size: 4, root: on(head(4).root) },
  ]
  expect(verifyConsistency([...proof(3, leaves.slice(0, 4)), leaf(9)], three, four)).toBe(false)
})

it('proves every pair of sizes consistent, with the proof of RFC 6962 (V14)', () => {
  for (const { from, to } of pairs()) {
    const found = consistencyProofOf(leaves.slice(0, to), from)
    if (from > 0) expect(hexes(found)).toEqual(hexes(proof(from, leaves.slice(0, to))))
    expect(verifyConsistency(found, head(from), head(to))).toBe(true)
  }
})

it('refuses a consistency proof with any bit of proof or roots changed, or a hash more or less (V14)', {
  timeout: 180_000,
}, () => {
  for (const { from, to } of pairs()) {
    const found = consistencyProofOf(leaves.slice(0, to), from)
    const refused = (hashes: Uint8Array[], older = head(from), newer = head(to)) => {
      if (verifyConsistency(hashes, older, newer)) expect({ from, to }).toBe('refused')
    }
    for (const bit of bitsOf(to, from)) {
      refused(found, { size: from, root: flipped(head(from).root, bit) })
      // Every tree extends the empty one, so a proof from size 0 does not bind the newer root.
      if (from > 0) refused(found, head(from), { size: to, root: flipped(head(to).root, bit) })
    }
    for (const [at, hash] of found.entries()) {
      for (const bit of bitsOf(to, from + at)) refused(found.with(at, flipped(hash, bit)))
    }
    if (found.length > 0) refused(found.toSpliced(from % found.length, 1))
    refused([...found, leaf(0)])
    if (from !== to) refused(found, head(to), head(from))
  }
})

it('refuses two roots of one size, and a rewritten beginning (V14)', () => {
  const fork = leaves.with(3, leafOf(entryOf(999)))
  for (const { from, to } of pairs()) {
    if (from < 4 || (from + to) % 3 > 0) continue
    const found = consistencyProofOf(fork.slice(0, to), from)
    expect(verifyConsistency(found, head(from), { size: to, root: mth(fork.slice(0, to)) })).toBe(false)
  }
})

it('knows one empty tree', () => {
  expect(verifyConsistency([], { size: 0, root: emptyRoot() }, head(5))).toBe(true)
  expect(verifyConsistency([], { size: 0, root: leaf(0) }, head(5))).toBe(false)
  expect(verifyConsistency([], { size: 0, root: leaf(0) }, { size: 0, root: leaf(0) })).toBe(false)
})

it('gives from tiles the proofs that it gives from leaves', async () => {
  const entries = Array.from({ length: 700 }, (_, n) => entryOf(n))
  const log = naiveLog(entries)
  const read = readerOf(log.files)
  for (const index of [0, 1, 255, 256, 257, 511, 512, 698, 699]) {
    const found = await inclusionProof(read, index, 700)
    expect(hexes(found)).toEqual(hexes(inclusionProofOf(log.leaves, index)))
    expect(verifyInclusion({ leafHash: log.leaves[index] as Uint8Array, index, proof: found }, log.head)).toBe(true)
  }
  for (const from of [0, 1, 2, 255, 256, 257, 511, 512, 513, 699, 700]) {
    const found = await consistencyProof(read, from, 700)
    expect(hexes(found)).toEqual(hexes(consistencyProofOf(log.leaves, from)))
    expect(verifyConsistency(found, { size: from, root: mth(log.leaves.slice(0, from)) }, log.head)).toBe(true)
  }
})

it('asks for no tile that the proof does not need', async () => {
  const log = naiveLog(Array.from({ length: 700 }, (_, n) => entryOf(n)))
  const asked: string[] = []
  const read = async (file: string) => {
    asked.push(file)
    return log.files.get(file)
  }
  await inclusionProof(read, 300, 700)
  expect(new Set(asked)).toEqual(new Set(['tile/0/001', 'tile/0/002.p/188', 'tile/1/000.p/2']))
  expect(asked).toHaveLength(3)
})

it('throws for a leaf or a tree that cannot be, since only the caller can have asked', () => {
  const read = readerOf(new Map())
  expect(() => inclusionProof(read, 5, 5)).toThrow(RangeError)
  expect(() => inclusionProof(read, -1, 5)).toThrow(RangeError)
  expect(() => consistencyProof(read, 6, 5)).toThrow(RangeError)
  expect(() => inclusionProofOf(leaves, MAX)).toThrow(RangeError)
})

it('never throws on a hostile proof, however wrong its types', () => {
  const anything = fc.anything()
  fc.assert(
    fc.property(anything, anything, anything, anything, anything, (leafHash, index, found, size, root) => {
      const claim = { leafHash, index, proof: found } as Parameters<typeof verifyInclusion>[0]
      const tree = { size, root } as TreeHead
      expect(verifyInclusion(claim, tree)).toBe(false)
      expect(verifyInclusion(claim, head(7))).toBe(false)
      expect(verifyConsistency(found as Uint8Array[], tree, head(7))).toBe(false)
    }),
    { numRuns: 500 },
  )
  const huge = { size: Number.MAX_SAFE_INTEGER, root: leaf(0) }
  const hashes = Array.from({ length: 200 }, () => leaf(0))
  expect(verifyInclusion({ leafHash: leaf(0), index: 2 ** 52, proof: hashes }, huge)).toBe(false)
  expect(verifyConsistency(hashes, { size: 2 ** 52, root: leaf(0) }, huge)).toBe(false)
})
