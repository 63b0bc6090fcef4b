import { expect, it } from 'vitest'
import { leafDifference } from './leaf-difference.ts'

it.each<[string, unknown, unknown, [string, string][]]>([
  [
    'a text',
    { a: 'b' },
    { a: 'c' },
    [
      ['removed', '/a: "b"'],
      ['added', '/a: "c"'],
    ],
  ],
  [
    'a whole value',
    'b',
    'c',
    [
      ['removed', '"b"'],
      ['added', '"c"'],
    ],
  ],
  ['a null that appears', { b: 1 }, { a: null, b: 1 }, [['added', '/a: null']]],
  [
    'a null in a list',
    { a: ['b'] },
    { a: ['b', null] },
    [
      ['removed', '/a: ["b"]'],
      ['added', '/a/0: "b"'],
      ['added', '/a/1: null'],
    ],
  ],
  ['an empty object that disappears', { a: {}, b: 1 }, { b: 1 }, [['removed', '/a: {}']]],
  [
    'a list that becomes an object',
    { a: ['b', {}] },
    { a: { 0: 'b', 1: {} } },
    [
      ['removed', '{"a":["b",{}]}'],
      ['added', '{"a":{"0":"b","1":{}}}'],
    ],
  ],
  [
    'a letter that looks like another one',
    { a: 'a' },
    { a: '\u0430' },
    [
      ['removed', '/a: "a"'],
      ['added', '/a: "\u0430" (spelled /a: "\\u0430")'],
    ],
  ],
  ['something new', null, { a: 1 }, [['added', '/a: 1']]],
  ['nothing', { b: 1, a: [1] }, { a: [1], b: 1 }, []],
])('shows %s', (_, before, after, lines) => {
  expect(leafDifference(before, after)).toEqual(lines)
})
