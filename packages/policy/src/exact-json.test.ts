import { expect, it } from 'vitest'
import { exactInteger, isExactInteger, parseExactJson } from './exact-json.ts'

it.each(['9223372036854775807', '-9223372036854775808', '9007199254740993', '1.50', '1e400', '-0'])(
  'keeps %s digit for digit, wherever it stands',
  (digits) => {
    const text = `{"a":[${digits},{"b":${digits}}]}`
    expect(JSON.stringify(parseExactJson(text))).toBe(text)
  },
)

it('gives what JavaScript writes alike as numbers, and only what it would write otherwise as text', () => {
  expect(parseExactJson('[0, 7, -1.5, 9007199254740991, "9007199254740993"]')).toEqual([
    0,
    7,
    -1.5,
    9007199254740991,
    '9007199254740993',
  ])
  expect(isExactInteger(parseExactJson('9007199254740993'))).toBe(true)
  expect(isExactInteger(parseExactJson('9007199254740991'))).toBe(false)
})

it('writes an integer of 64 bits as its digits', () => {
  expect(JSON.stringify({ at: exactInteger(2n ** 63n - 1n) })).toBe('{"at":9223372036854775807}')
  expect(isExactInteger('9223372036854775807')).toBe(false)
})

it.each([
  '',
  '{',
  '{"a":1,"a":2}',
  '{"__proto__":1}',
  '"\\ud800"',
  '\ufeff1',
  '[1,]',
  `${'['.repeat(129)}${']'.repeat(129)}`,
])('reads %j as nothing: it means one thing to us and another to Cedar', (text) => {
  expect(parseExactJson(text)).toBeUndefined()
})

it('reads a text of megabytes, and one that is nested as deep as anybody would', () => {
  const long = 'x'.repeat(2_000_000)
  expect(parseExactJson(`{"long":"${long}"}`)).toEqual({ long })
  const nested = (levels: number) => parseExactJson(`${'['.repeat(levels)}${']'.repeat(levels)}`)
  expect(nested(100)).toBeDefined()
  expect(nested(1000)).toBeUndefined()
})
