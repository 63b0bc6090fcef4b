import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseJson } from './parse-json.ts'
import { parseStrictJson } from './parse-strict-json.ts'

const escaped = (key: string) =>
  Array.from({ length: key.length }, (_, n) => `\\u${key.charCodeAt(n).toString(16).padStart(4, '0')}`).join('')

it('reads an escaped key for what it is, after any earlier text (V1, V13)', () => {
  JSON.parse('{"a":1,"\\\\":1}')
  expect(parseJson('{"a":1,"\\u0062":2}')).toEqual({ a: 1, b: 2 })
  expect(parseStrictJson('{"a":1,"\\u0062":2}')).toEqual({ a: 1, b: 2 })
  JSON.parse('{"a":1,"xy\\\\":1}')
  expect(parseStrictJson('{"a":1,"xy\\u007a":2}')).toEqual({ a: 1, xyz: 2 })
  expect(parseStrictJson('{"a":1,"\\"":2}')).toEqual({ a: 1, '"': 2 })
  expect(() => parseStrictJson('{"a":1,"\\u0061":2}')).toThrowError(expect.objectContaining({ code: 'json_malformed' }))
  expect(() => parseStrictJson('{"\\u005f_proto__":2}')).toThrowError(
    expect.objectContaining({ code: 'json_malformed' }),
  )
})

it('gives the keys and values that were written, in any spelling (V13)', () => {
  const key = fc.constantFrom('', 'a', 'b', '\\', '"', ':', '1', '\n', '😀', 'a"', 'a\\', 'ab', '\\\\', '__proto__')
  const value = fc.constantFrom(1, 'x', ':', '"', '\\', null, ['"a":'], true)
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(key, fc.boolean(), value), { selector: ([name]) => name }), (members) => {
      const spelled = members.map(
        ([name, isEscaped, held]) =>
          `${isEscaped ? `"${escaped(name)}"` : JSON.stringify(name)}\n: ${JSON.stringify(held)}`,
      )
      for (const text of [`{${spelled}}`, `[{"a":{${spelled}}}]`]) {
        const parsed = parseJson(text) as object
        const inner = Array.isArray(parsed) ? parsed[0].a : parsed
        expect(Object.entries(inner).toSorted()).toEqual(members.map(([name, , held]) => [name, held]).toSorted())
      }
    }),
    { numRuns: 2000 },
  )
})
