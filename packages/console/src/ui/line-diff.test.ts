import fc from 'fast-check'
import { expect, it } from 'vitest'
import { lineDiff } from './line-diff.ts'

const text = fc.array(fc.constantFrom('permit', 'forbid', '', '}'), { maxLength: 12 }).map((lines) => lines.join('\n'))
const without = (word: string, lines: ReturnType<typeof lineDiff>) =>
  lines
    .filter(([kind]) => kind !== word)
    .map(([, line]) => line)
    .join('\n')

it('shows every line of both texts, and common lines once (V3)', () => {
  fc.assert(
    fc.property(text, text, (before, after) => {
      const lines = lineDiff(before, after)
      expect(without('added', lines)).toBe(before)
      expect(without('removed', lines)).toBe(after)
    }),
  )
  expect(lineDiff('a\nb\nc', 'a\nx\nc\nd')).toEqual([
    ['kept', 'a'],
    ['removed', 'b'],
    ['added', 'x'],
    ['kept', 'c'],
    ['added', 'd'],
  ])
})

it('shows texts that are too long to compare as wholes', () => {
  const long = (word: string) => Array.from({ length: 1500 }, (_, n) => `${word} ${n}`).join('\n')
  const lines = lineDiff(`a\n${long('old')}`, `a\n${long('new')}`)
  expect(lines).toHaveLength(3001)
  expect(without('added', lines)).toBe(`a\n${long('old')}`)
})
