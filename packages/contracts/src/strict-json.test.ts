import { expect, it } from 'vitest'
import { parseStrictJson } from './strict-json.ts'

const bytes = (...parts: (string | number[])[]) =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === 'string' ? [...new TextEncoder().encode(part)] : part)))

it('gives what JSON.parse gives when every reader would agree', () => {
  for (const text of [
    '1',
    '"a"',
    '[]',
    '{"a":{"a":[{"a":1},{"a":"a"}]},"b":"\\ud83d\\ude00 :{\\"a"}',
    ' { "x" : "y:z" } ',
  ]) {
    expect(parseStrictJson(new TextEncoder().encode(text))).toEqual(JSON.parse(text))
  }
})

it.each<[string, Uint8Array]>([
  ['a duplicate key', bytes('{"a":1,"a":2}')],
  ['a duplicate key in another spelling', bytes('{"a":1,"\\u0061":2}')],
  ['a duplicate key behind white space', bytes('{"a" :1, "a"\n:2}')],
  ['a duplicate key deep inside', bytes('[{"x":[{"a":1,"b":{},"a":2}]}]')],
  ['__proto__', bytes('{"__proto__":{}}')],
  ['a lone surrogate in a value', bytes('["\\ud800"]')],
  ['a lone surrogate in a key', bytes('{"\\udc00":1}')],
  ['a byte order mark', bytes([0xef, 0xbb, 0xbf], '{}')],
  ['overlong UTF-8', bytes('"', [0xc0, 0xaf], '"')],
  ['truncated UTF-8', bytes('"', [0xe2, 0x82], '"')],
  ['33 levels', bytes('['.repeat(33), ']'.repeat(33))],
  ['a million levels', bytes('['.repeat(1_000_000))],
  ['trailing text', bytes('{} x')],
  ['nothing', bytes('')],
])('refuses %s', (_, input) => {
  expect(() => parseStrictJson(input)).toThrowError(expect.objectContaining({ code: 'json_malformed' }))
})

it('takes 32 levels', () => {
  expect(parseStrictJson('['.repeat(32) + ']'.repeat(32))).toBeDefined()
})
