import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseStrictJson } from './parse-strict-json.ts'

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

interface Written {
  text: string
  /** Whether some object in it has a duplicate key. */
  twice: boolean
  /** Its value; JSON.parse itself must not be used to get it (parse-json.ts). */
  value: unknown
}

const word = fc.constantFrom('', 'a', 'b', '\\', '"', ':', 'a":', '\\"', '{', ']', 'é', '😀')
const inEscapes = (text: string) =>
  `"${Array.from({ length: text.length }, (_, n) => `\\u${text.charCodeAt(n).toString(16).padStart(4, '0')}`).join('')}"`
const { written } = fc.letrec<{ written: Written }>((tie) => ({
  written: fc.oneof(
    { maxDepth: 4 },
    word.map((text) => ({ text: JSON.stringify(text), twice: false, value: text })),
    fc.array(tie('written'), { maxLength: 3 }).map((items) => ({
      text: `[${items.map(({ text }) => text).join()}]`,
      twice: items.some(({ twice }) => twice),
      value: items.map(({ value }) => value),
    })),
    fc.array(fc.tuple(word, fc.boolean(), tie('written')), { maxLength: 4 }).map((members) => ({
      text: `{${members.map(([key, isEscaped, { text }]) => `${isEscaped ? inEscapes(key) : JSON.stringify(key)} :${text}`).join()}}`,
      twice: new Set(members.map(([key]) => key)).size < members.length || members.some(([, , { twice }]) => twice),
      value: Object.fromEntries(members.map(([key, , { value }]) => [key, value])),
    })),
  ),
}))

it('refuses equal keys at any depth and in any spelling, and nothing else (V13)', () => {
  fc.assert(
    fc.property(written, ({ text, twice, value }) => {
      for (const input of [text, new TextEncoder().encode(text)]) {
        const parse = () => parseStrictJson(input)
        if (twice) expect(parse).toThrowError(expect.objectContaining({ code: 'json_malformed' }))
        else expect(parse()).toEqual(value)
      }
    }),
    {
      examples: [
        [{ text: '{"a":{"b":1,"b":1}}', twice: true, value: undefined }],
        [{ text: '{"\\"":":","\\":":"\\":"}', twice: false, value: { '"': ':', '":': '":' } }],
      ],
    },
  )
})

it('refuses a lone surrogate in a text as in bytes', () => {
  for (const text of ['"\ud800"', '{"\udc00":1}', '[{"a":["\ud800\ud800"]}]'])
    expect(() => parseStrictJson(text)).toThrowError(expect.objectContaining({ code: 'json_malformed' }))
})
