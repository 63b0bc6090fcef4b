import { expect, it } from 'vitest'
import { cedarTokens, unseenIn } from './cedar-tokens.ts'

it('tells the words of Cedar apart, and loses no character', () => {
  const line = '@id("a") forbid (principal, action == Action::"x", resource) when { context.n > 12 }; // why / not'
  const tokens = cedarTokens(line)
  expect(tokens.map(({ text }) => text).join('')).toBe(line)
  const of = (kind: string) => tokens.filter((token) => token.kind === kind).map(({ text }) => text)
  expect(of('annotation')).toEqual(['@id'])
  expect(of('effect')).toEqual(['forbid'])
  expect(of('string')).toEqual(['"a"', '"x"'])
  expect(of('number')).toEqual(['12'])
  expect(of('comment')).toEqual(['// why / not'])
  expect(of('word')).toEqual(['principal', 'action', 'resource', 'when', 'context'])
})

it.each(['"open string', '"a\\"b" c', 'a/b', '@', 'é"ü"—', '', '\t permit', '"//" // "x"', '9223372036854775807'])(
  'loses no character of %j',
  (line) => {
    expect(
      cedarTokens(line)
        .map(({ text }) => text)
        .join(''),
    ).toBe(line)
  },
)

it('finds what cannot be seen', () => {
  expect(unseenIn('a\n\tb \u202e c\nd\u200b')).toEqual([
    { line: 2, code: 'U+202E' },
    { line: 3, code: 'U+200B' },
  ])
  expect(unseenIn('// für alle')).toEqual([])
})
