import { expect, it } from 'vitest'
import { isLike } from './patterns.ts'

const words = (letters: string, most: number): string[] =>
  most === 0 ? [''] : ['', ...words(letters, most - 1).flatMap((rest) => [...letters].map((letter) => letter + rest))]

it('matches as a regular expression does, for all short texts and patterns', () => {
  for (const pattern of new Set(words('ab*', 5))) {
    const expected = new RegExp(`^${pattern.replaceAll('*', '.*')}$`)
    for (const text of new Set(words('ab', 5)))
      expect([pattern, text, isLike(text, pattern.split('*'))]).toEqual([pattern, text, expected.test(text)])
  }
})

it('tries no second place for a piece, however many there are (V18)', () => {
  const pieces = ['', ...Array.from({ length: 5_000 }, () => 'a'), 'b']
  // Backtracking would not end.
  expect(isLike('a'.repeat(100_000), pieces)).toBe(false)
  expect(isLike(`${'a'.repeat(100_000)}b`, pieces)).toBe(true)
})
