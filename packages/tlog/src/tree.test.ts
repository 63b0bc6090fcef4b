import fc from 'fast-check'
import { expect, it } from 'vitest'
import { entryOf, leafOf, mth } from './naive-log.ts'
import { emptyRoot, Frontier, leafHash, nodeHash, rootOf } from './tree.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** The entries and roots that every implementation of Certificate Transparency is tested with. */
const KNOWN: [entry: string, root: string][] = [
  ['', '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d'],
  ['00', 'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125'],
  ['10', 'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77'],
  ['2021', 'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7'],
  ['3031', '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4'],
  ['40414243', '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef'],
  ['5051525354555657', 'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c'],
  ['606162636465666768696a6b6c6d6e6f', '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328'],
]

it('gives the known roots of the Certificate Transparency test tree', () => {
  const frontier = new Frontier()
  expect(hex(frontier.root())).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  for (const [entry, root] of KNOWN) {
    frontier.append(leafHash(Buffer.from(entry, 'hex')))
    expect(hex(frontier.root())).toBe(root)
  }
})

it('gives the root that the recursion of RFC 6962 gives, at every size', () => {
  const leaves = Array.from({ length: 300 }, (_, n) => leafOf(entryOf(n)))
  const frontier = new Frontier()
  for (let size = 0; size <= leaves.length; size++) {
    expect(frontier.size).toBe(size)
    expect(hex(frontier.root())).toBe(hex(mth(leaves.slice(0, size))))
    const leaf = leaves[size]
    if (leaf !== undefined) frontier.append(leaf)
  }
  expect(rootOf([])).toEqual(emptyRoot())
})

it('grows from its stored hashes as if it had never stopped', () => {
  fc.assert(
    fc.property(fc.nat(200), fc.nat(100), (before, after) => {
      const leaves = Array.from({ length: before + after }, (_, n) => leafOf(entryOf(n)))
      const first = new Frontier()
      for (const leaf of leaves.slice(0, before)) first.append(leaf)
      const second = Frontier.of(before, first.hashes)
      for (const leaf of leaves.slice(before)) second.append(leaf)
      expect(hex(second.root())).toBe(hex(mth(leaves)))
      expect(hex(first.root())).toBe(hex(mth(leaves.slice(0, before))))
    }),
    { numRuns: 50 },
  )
})

it('tells every perfect subtree that a leaf completes, with its root', () => {
  const leaves = Array.from({ length: 64 }, (_, n) => leafOf(entryOf(n)))
  const frontier = new Frontier()
  for (const [index, leaf] of leaves.entries()) {
    const nodes: [number, string][] = []
    frontier.append(leaf, (height, root) => nodes.push([height, hex(root)]))
    const heights = [0, 1, 2, 3, 4, 5, 6].filter((height) => (index + 1) % 2 ** height === 0)
    expect(nodes).toEqual(heights.map((h) => [h, hex(mth(leaves.slice(index + 1 - 2 ** h, index + 1)))]))
  }
})

it('refuses a frontier whose hashes do not fit its size, and what is not a hash', () => {
  const leaf = leafOf(entryOf(0))
  expect(() => Frontier.of(3, [leaf])).toThrow(RangeError)
  expect(() => Frontier.of(-1, [])).toThrow(RangeError)
  expect(() => Frontier.of(1, [leaf.subarray(1)])).toThrow(RangeError)
  expect(() => new Frontier().append(leaf.subarray(1))).toThrow(RangeError)
  expect(() => nodeHash(leaf.subarray(1), leaf)).toThrow(RangeError)
  expect(() => nodeHash(leaf, leaf.subarray(1))).toThrow(RangeError)
})

it('never takes a leaf for a node', () => {
  const [left, right] = [leafOf(entryOf(0)), leafOf(entryOf(1))]
  expect(hex(leafHash(Buffer.concat([left, right])))).not.toBe(hex(nodeHash(left, right)))
})
