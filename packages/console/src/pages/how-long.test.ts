import { expect, it } from 'vitest'
import { howLong } from './how-long.ts'

const asked = { not_before: '2026-11-29T10:00:00.000Z', not_after: '2026-11-29T11:00:00.000Z' }
it.each([
  ['before it begins', '2026-11-29T09:00:00.000Z', '1 h'],
  ['at once', '2026-11-29T10:00:30.000Z', '1 h'],
  ['late', '2026-11-29T10:40:00.000Z', '20 min, of 1 h'],
  ['too late', '2026-11-29T12:00:00.000Z', '0 s, of 1 h'],
])('says how long is left when it is answered %s', (_, now, words) => {
  expect(howLong(asked, Date.parse(now))).toBe(words)
})
