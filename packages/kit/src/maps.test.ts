import { expect, it } from 'vitest'
import { getOrInsert, groupBy } from './maps.ts'

it('keeps the order of the items and of the first of each group', () => {
  expect([...groupBy([3, 1, 2, 5], (n) => n % 2)]).toEqual([
    [1, [3, 1, 5]],
    [0, [2]],
  ])
})

it('makes a value only for a key that has none, not even an undefined one', () => {
  const map = new Map<string, number | undefined>([['a', undefined]])
  expect([getOrInsert(map, 'a', () => 1), getOrInsert(map, 'b', () => 2), getOrInsert(map, 'b', () => 3)]).toEqual([
    undefined,
    2,
    2,
  ])
})
