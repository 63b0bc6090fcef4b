import { expect, it } from 'vitest'
import { isNext } from './verdict.ts'

it.each([
  // version, known, base
  [1, undefined, false, true],
  [2, undefined, false, false],
  [2, undefined, true, true],
  [2, 1, false, true],
  [2, 1, true, true],
  [1, 1, true, false],
  [3, 1, true, false],
  [undefined, undefined, true, false],
  [undefined, 1, true, false],
] as const)('version %s behind %s, by a reader that starts inside (%s): %s', (version, known, base, expected) => {
  expect(isNext(version, known, base)).toBe(expected)
})
