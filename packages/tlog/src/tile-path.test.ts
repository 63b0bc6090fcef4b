import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseTilePath, type Tile, tilePath } from './tile-path.ts'

const someTile: fc.Arbitrary<Tile> = fc.record({
  level: fc.oneof(fc.constant('entries' as const), fc.integer({ min: 0, max: 63 })),
  index: fc.oneof(fc.nat(2000), fc.maxSafeNat()),
  width: fc.integer({ min: 1, max: 256 }),
})

it.each<[Tile, string]>([
  [{ level: 0, index: 0, width: 256 }, 'tile/0/000'],
  [{ level: 0, index: 1_234_067, width: 256 }, 'tile/0/x001/x234/067'],
  [{ level: 0, index: 273, width: 112 }, 'tile/0/273.p/112'],
  [{ level: 63, index: 1000, width: 1 }, 'tile/63/x001/000.p/1'],
  [{ level: 'entries', index: 999, width: 255 }, 'tile/entries/999.p/255'],
  [{ level: 'entries', index: 999_999, width: 256 }, 'tile/entries/x999/999'],
])('writes %o as %s', (tile, path) => {
  expect(tilePath(tile)).toBe(path)
  expect(parseTilePath(path)).toEqual(tile)
})

it('reads back every path that it writes', () => {
  fc.assert(
    fc.property(someTile, (tile) => {
      expect(parseTilePath(tilePath(tile))).toEqual({ ...tile })
    }),
  )
})

it('takes no second spelling of any path', () => {
  const edits = fc.array(fc.tuple(fc.nat(30), fc.constantFrom('', '0', '1', 'x', '/', '.', 'p', '.p/', '-', ' ')), {
    maxLength: 3,
  })
  fc.assert(
    fc.property(someTile, edits, (tile, changes) => {
      let path = tilePath(tile)
      for (const [at, text] of changes) path = path.slice(0, at) + text + path.slice(at + (text === '' ? 1 : 0))
      const parsed = parseTilePath(path)
      if (parsed !== undefined) expect(tilePath(parsed)).toBe(path)
    }),
    { numRuns: 2000 },
  )
})

it.each([
  '',
  'tile',
  '/tile/0/000',
  'tile/0/000/',
  'tile/0/0',
  'tile/0/00',
  'tile/0/0000',
  'tile/00/000',
  'tile/64/000',
  'tile/-1/000',
  'tile/+1/000',
  'tile/0/x000/001',
  'tile/0/001/000',
  'tile/0/x001',
  'tile/0/X001/000',
  'tile/0/000.p/0',
  'tile/0/000.p/01',
  'tile/0/000.p/256',
  'tile/0/000.p/',
  'tile/0/000.p',
  'tile/0/000.P/1',
  'tile/0/x001.p/1/000',
  'tile/entries/../checkpoint',
  'tile/0/../../keys',
  'tile/entry/000',
  'tile/0/٠٠٠',
  'tile/0/000\n',
  'tile/0/x009/x007/x199/x254/x740/992', // 2^53: no longer a unique number
  `tile/0/${'x999/'.repeat(200)}999`,
])('refuses %j', (path) => {
  expect(parseTilePath(path)).toBeUndefined()
})

it('refuses to write the path of a tile that cannot be', () => {
  for (const wrong of [{ level: 64 }, { level: -1 }, { level: 0.5 }, { index: -1 }, { index: 2 ** 53 }]) {
    expect(() => tilePath({ level: 0, index: 0, width: 256, ...wrong })).toThrow(RangeError)
  }
  for (const width of [0, 257, 1.5]) expect(() => tilePath({ level: 0, index: 0, width })).toThrow(RangeError)
})
