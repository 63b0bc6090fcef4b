import { expect, it } from 'vitest'
import { rowWindow, scrolledTo } from './row-window.ts'

const list = { height: 480, rowHeight: 48, count: 1000 }
it('draws the rows on the screen and a few around them, of a thousand', () => {
  expect(rowWindow({ ...list, top: 0 })).toEqual({ first: 0, end: 18 })
  expect(rowWindow({ ...list, top: 4800 })).toEqual({ first: 92, end: 118 })
  expect(rowWindow({ ...list, top: 48_000 - 480 })).toEqual({ first: 982, end: 1000 })
  expect(rowWindow({ ...list, top: 4800, count: 3 })).toEqual({ first: 3, end: 3 })
})

it('scrolls only as far as a row needs to be seen whole', () => {
  expect(scrolledTo({ ...list, top: 480, row: 12 })).toBe(480)
  expect(scrolledTo({ ...list, top: 480, row: 3 })).toBe(144)
  expect(scrolledTo({ ...list, top: 480, row: 20 })).toBe(528)
})
