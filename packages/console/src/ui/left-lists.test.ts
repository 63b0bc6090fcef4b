import { expect, it } from 'vitest'
import { dropLeftLists, leaveList, leftList } from './left-lists.ts'

it('remembers how a list was left, for the newest lists only, until the person signs out', () => {
  leaveList('a', { cursors: ['', 'one'] })
  leaveList('a', { top: 700 })
  expect(leftList('a')).toEqual({ cursors: ['', 'one'], top: 700 })
  for (let n = 0; n < 49; n++) leaveList(`other ${n}`, { top: n })
  expect(leftList('a')).toEqual({ cursors: ['', 'one'], top: 700 })
  leaveList('one more', { top: 1 })
  expect(leftList('a')).toEqual({})
  dropLeftLists()
  expect(leftList('one more')).toEqual({})
})
