import { expect, it } from 'vitest'
import { gapIn } from './page-gap.ts'

it.each([
  ['one page', [''], ['b'], undefined],
  ['pages that meet', ['', 'b', 'd'], ['b', 'd', 'f'], undefined],
  ['a page without its answer', ['', 'b', 'd'], ['b', undefined, 'f'], undefined],
  ['the end of the list', ['', 'b'], ['b', undefined], undefined],
  ['a first page that ends too early', ['', 'b'], ['a', undefined], { page: 1, begins: 'a' }],
  ['a later page that ends too early', ['', 'b', 'd'], ['b', 'c', undefined], { page: 2, begins: 'c' }],
  ['two of them: the first one first', ['', 'b', 'd'], ['a', 'c', undefined], { page: 1, begins: 'a' }],
])('%s: which page is missing', (_, cursors, nexts, missing) => {
  expect(gapIn(cursors, nexts)).toEqual(missing)
})
