import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeEntryBundle, encodeEntryBundle } from './entry-bundle.ts'
import { entryOf, naiveLog, readerOf } from './naive-log.ts'
import { rootFromTiles } from './proofs.ts'
import { RightEdge } from './right-edge.ts'
import { tilePath } from './tile-path.ts'
import { treeReader } from './tile-reader.ts'
import { bundlesToWrite, decodeTile, encodeTile, partialTiles, tilesToWrite } from './tiles.ts'
import { rootOf } from './tree.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const entries = Array.from({ length: 1400 }, (_, n) => entryOf(n))
const all = naiveLog(entries)
const pathsOf = (from: number, to: number) => [...tilesToWrite(from, to), ...bundlesToWrite(from, to)].map(tilePath)

it('has the tiles that the standard gives as its example, of 70,000 leaves', () => {
  const tiles = tilesToWrite(0, 70_000)
  const count = (level: number, isFull: boolean) =>
    tiles.filter((tile) => tile.level === level && (tile.width === 256) === isFull).length
  expect([count(0, true), count(0, false), count(1, true), count(1, false), count(2, false)]).toEqual([273, 1, 1, 1, 1])
  expect(partialTiles(70_000).map(tilePath)).toEqual(['tile/0/273.p/112', 'tile/1/001.p/17', 'tile/2/000.p/1'])
  expect(tiles).toHaveLength(277)
})

it('has tile/1/000.p/1 at 256 leaves, and never an empty tile', () => {
  expect(pathsOf(0, 256)).toEqual(['tile/0/000', 'tile/1/000.p/1', 'tile/entries/000'])
  expect(pathsOf(255, 256)).toEqual(pathsOf(0, 256))
  expect(pathsOf(256, 257)).toEqual(['tile/0/001.p/1', 'tile/entries/001.p/1'])
  expect(pathsOf(0, 0)).toEqual([])
  expect(pathsOf(300, 300)).toEqual([])
  expect(tilesToWrite(0, 65_536).at(-1)).toEqual({ level: 2, index: 0, width: 1 })
})

it('writes between two sizes exactly what a log of both sizes has and one of the first has not', () => {
  fc.assert(
    fc.property(fc.nat(1400), fc.nat(1400), (a, b) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)]
      const before = naiveLog(entries.slice(0, from))
      const both = [...naiveLog(entries.slice(0, to), [from, to]).files.keys()]
      expect(pathsOf(from, to).sort()).toEqual(both.filter((path) => !before.files.has(path)).sort())
    }),
    { numRuns: 30 },
  )
})

it('names the partial tiles of any tree at once, however large', () => {
  expect(partialTiles(2 ** 53 - 1)).toHaveLength(7)
  expect(partialTiles(0)).toEqual([])
})

it('refuses to shrink', () => {
  expect(() => tilesToWrite(2, 1)).toThrow(RangeError)
  expect(() => bundlesToWrite(-1, 1)).toThrow(RangeError)
  expect(() => tilesToWrite(0, 2 ** 53)).toThrow(RangeError)
})

it('derives the tiles of the oracle, however the log grows, and after any restart (V14)', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.boolean()), { maxLength: 6 }),
      async (steps) => {
        const files = new Map<string, Uint8Array>()
        const sizes = [0]
        let edge = new RightEdge()
        for (const [more, restarts] of steps) {
          const size = Math.min(entries.length, edge.size + more)
          for (const leaf of all.leaves.slice(edge.size, size)) edge.append(leaf)
          for (const { path, bytes } of edge.take()) files.set(path, bytes)
          sizes.push(size)
          if (restarts) edge = await RightEdge.read(readerOf(files), size)
        }
        const expected = naiveLog(entries.slice(0, edge.size), sizes)
        const tiles = [...expected.files].filter(([path]) => !path.includes('entries'))
        expect(new Map(tiles.map(([path, bytes]) => [path, hex(bytes)]))).toEqual(
          new Map([...files].map(([path, bytes]) => [path, hex(bytes)])),
        )
        expect(hex(edge.root())).toBe(hex(expected.head.root))
        expect(edge.take()).toEqual([])
      },
    ),
    { numRuns: 25 },
  )
})

it('reads the root of every size from tiles, whether partial or of a log that has grown since', async () => {
  for (const size of [0, 1, 2, 255, 256, 257, 511, 512, 513, 700, 1399]) {
    const { head } = naiveLog(entries.slice(0, size))
    expect(hex(await rootFromTiles(readerOf(naiveLog(entries.slice(0, size)).files), size))).toBe(hex(head.root))
    const grown = new Map([...naiveLog(entries, [size, 1400]).files])
    for (const tile of partialTiles(size)) {
      if (grown.has(tilePath({ ...tile, width: 256 }))) grown.delete(tilePath(tile))
    }
    expect(hex(await rootFromTiles(readerOf(grown), size))).toBe(hex(head.root))
  }
})

it('goes on from a checkpoint when tiles beyond it were already stored, as after a crash', async () => {
  for (const size of [1, 255, 300, 511]) {
    const { files, head } = naiveLog(entries.slice(0, 600), [size, 600])
    const edge = await RightEdge.read(readerOf(files), size)
    for (const leaf of all.leaves.slice(size, 600)) edge.append(leaf)
    expect(hex(edge.root())).toBe(hex(head.root))
    for (const { path, bytes } of edge.take())
      expect([path, hex(bytes)]).toEqual([path, hex(files.get(path) ?? bytes.subarray(1))])
  }
})

it('reads every node of a tree from its tiles', async () => {
  const tree = treeReader(readerOf(all.files), 1400)
  for (let height = 0; height <= 10; height++) {
    for (let index = 0; (index + 1) * 2 ** height <= 1400; index += 7) {
      const expected = rootOf(all.leaves.slice(index * 2 ** height, (index + 1) * 2 ** height))
      expect(hex(await tree.node({ height, index }))).toBe(hex(expected))
    }
  }
  await expect(tree.node({ height: 0, index: 1400 })).rejects.toThrow(RangeError)
  await expect(tree.node({ height: 10, index: 1 })).rejects.toThrow(RangeError)
})

it('names the tile that is missing or has another length', async () => {
  const missing = readerOf(new Map())
  await expect(rootFromTiles(missing, 300)).rejects.toMatchObject({ code: 'log_inconsistent', reason: 'missing' })
  const short = new Map([['tile/0/000.p/3', new Uint8Array(95)]])
  await expect(rootFromTiles(readerOf(short), 3)).rejects.toMatchObject({ path: 'tile/0/000.p/3', reason: 'malformed' })
})

it('takes a tile of exactly its width, and nothing else', () => {
  const tile = encodeTile(all.leaves.slice(0, 3))
  expect(decodeTile(tile, 3)?.map(hex)).toEqual(all.leaves.slice(0, 3).map(hex))
  expect([2, 4].map((width) => decodeTile(tile, width))).toEqual([undefined, undefined])
  expect(decodeTile(Buffer.concat([tile, Buffer.of(0)]), 3)).toBeUndefined()
  expect(() => encodeTile([])).toThrow(RangeError)
  expect(() => encodeTile(all.leaves.slice(0, 257))).toThrow(RangeError)
})

it('takes a bundle of exactly its entries, and not one byte more or less', () => {
  const someEntries = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(someEntries, (bundled) => {
      const bundle = encodeEntryBundle(bundled)
      expect(decodeEntryBundle(bundle, bundled.length)?.map(hex)).toEqual(bundled.map(hex))
      expect(decodeEntryBundle(bundle, bundled.length + 1)).toBeUndefined()
      expect(decodeEntryBundle(bundle, bundled.length - 1)).toBeUndefined()
      expect(decodeEntryBundle(bundle.subarray(0, -1), bundled.length)).toBeUndefined()
      expect(decodeEntryBundle(Buffer.concat([bundle, Buffer.of(0)]), bundled.length)).toBeUndefined()
    }),
  )
})

it('holds entries up to 65,535 bytes', () => {
  const largest = new Uint8Array(65_535).fill(7)
  expect(decodeEntryBundle(encodeEntryBundle([largest, largest]), 2)?.map((entry) => entry.length)).toEqual([
    65_535, 65_535,
  ])
  expect(() => encodeEntryBundle([new Uint8Array(65_536)])).toThrow(RangeError)
  expect(() => encodeEntryBundle([])).toThrow(RangeError)
})
