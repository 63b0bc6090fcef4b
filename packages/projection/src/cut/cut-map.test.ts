import { expect, it } from 'vitest'
import { CutMap } from './cut-map.ts'
import { inTurn, type Row } from './row.ts'

function world() {
  const copied: string[] = []
  const map = new Map([
    ['a', 1],
    ['b', 2],
  ])
  const cuts = new CutMap<number>((key, value): Row[] => {
    copied.push(key)
    return [['n', key, value]]
  })
  return { copied, map, cuts }
}

it('copies nothing more for a cut that was given up before its first row was read', () => {
  const { copied, map, cuts } = world()
  const rows = inTurn([['first']], cuts.begin(map))
  cuts.before('a')
  expect(copied).toEqual(['a'])
  rows.return?.()
  cuts.before('b')
  expect(copied).toEqual(['a'])
  expect([...rows]).toEqual([])
})

it('copies nothing more for a cut whose reader stopped in an earlier part', () => {
  const { copied, map, cuts } = world()
  for (const row of inTurn([['first'], ['second']], cuts.begin(map))) if (row[0] === 'first') break
  cuts.before('a')
  expect(copied).toEqual([])
})

it('an earlier cut that ends late takes nothing from a later one', () => {
  const { map, cuts } = world()
  const early = cuts.begin(map)
  const late = cuts.begin(map)
  cuts.before('a')
  map.set('a', 9)
  early.return?.()
  expect([...late]).toEqual([
    ['n', 'a', 1],
    ['n', 'b', 2],
  ])
})
