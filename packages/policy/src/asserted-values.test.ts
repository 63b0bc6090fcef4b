import { describe, expect, it } from 'vitest'
import { TypeMismatch, typed, untyped } from './asserted-values.ts'
import type { Shape } from './schema-shapes.ts'

const long: Shape = { kind: 'Long' }
const text: Shape = { kind: 'String' }
const user: Shape = { kind: 'Entity', type: 'App::User' }
const decimal: Shape = { kind: 'Extension', type: 'decimal', construct: 'decimal' }
const record = (members: Record<string, Shape>): Shape => ({
  kind: 'Record',
  members: new Map(Object.entries(members)),
  optional: new Set(),
})
const named = (type: string) => (type === 'User' ? 'App::User' : type)
const given = (value: unknown, shape: Shape) => JSON.stringify(typed(value, shape, named))

const most = 2n ** 63n - 1n
const largest = Number.MAX_SAFE_INTEGER
const noInteger = [1.5, largest + 1, Number.NaN, most + 1n, -most - 2n, '1', true, null, undefined, {}, []]

describe('typed by a schema', () => {
  it.each<[value: unknown, shape: Shape, as: string]>([
    [5, long, '5'],
    [-largest, long, String(-largest)],
    [most, long, String(most)],
    [-most - 1n, long, String(-most - 1n)],
    ['5', text, '"5"'],
    ['', text, '""'],
    [false, { kind: 'Bool' }, 'false'],
    ['12.50', decimal, '{"__extn":{"fn":"decimal","arg":"12.50"}}'],
    [{ type: 'User', id: 'a', more: 1 }, user, '{"__entity":{"type":"App::User","id":"a"}}'],
    [{ type: 'App::User', id: '' }, user, '{"__entity":{"type":"App::User","id":""}}'],
    [[1, 2], { kind: 'Set', element: long }, '[1,2]'],
    [[], { kind: 'Set', element: long }, '[]'],
    [{ a: 1, b: 'x', c: null, d: { e: 1 } }, record({ a: long, c: text, d: record({}) }), '{"a":1,"d":{}}'],
    [{ s: [{ a: 1, b: 2 }] }, record({ s: { kind: 'Set', element: record({ a: long }) } }), '{"s":[{"a":1}]}'],
  ])('case %#', (value, shape, as) => {
    expect(given(value, shape)).toBe(as)
  })

  it.each<[shape: Shape, wrong: unknown[]]>([
    [long, noInteger],
    [text, [5, true, null, [], { length: 1 }]],
    [{ kind: 'Bool' }, ['true', 1, null, []]],
    [decimal, [12.5, null, ['1.0'], { __extn: { fn: 'decimal', arg: '1.0' } }]],
    [
      user,
      ['User::"a"', null, [], { type: 'User' }, { id: 'a' }, { type: 'User', id: 1 }, { type: 1, id: 'a' }].concat([
        { type: 'Other', id: 'a' },
        { __entity: { type: 'User', id: 'a' } },
      ] as never),
    ],
    [{ kind: 'Set', element: long }, [1, null, { 0: 1, length: 1 }, ['1']]],
    [record({ a: long }), ['{}', 1, null, [], [['a', 1]], { a: '1' }]],
  ])('what is of another type is none: case %#', (shape, wrong) => {
    for (const value of wrong) expect(() => typed(value, shape, named), String(value)).toThrow(TypeMismatch)
  })
})

describe('as it came, without a schema', () => {
  it.each<[value: unknown, as: string]>([
    ['x', '"x"'],
    [true, 'true'],
    [most, String(most)],
    [[1, ['a', { b: null }]], '[1,["a",{}]]'],
    [{ a: 1, b: null, c: { d: null, e: [{ f: 2 }] } }, '{"a":1,"c":{"e":[{"f":2}]}}'],
  ])('case %#', (value, as) => {
    expect(JSON.stringify(untyped(value))).toBe(as)
  })

  it('except a fraction, or a number that is too large for a Long', () => {
    for (const value of [1.5, largest + 1, most + 1n, -most - 2n])
      for (const inside of [value, [value], { a: value }]) expect(() => untyped(inside)).toThrow(TypeMismatch)
  })

  it.each(['__entity', '__extn', '__expr'])('and what would say of what type it is is refused: %s', (name) => {
    const refused = expect.objectContaining({ code: 'request_malformed', detail: `a member named ${name}` })
    for (const value of [{ [name]: {} }, [{ [name]: 1 }], { a: { [name]: 'x', b: 1 } }])
      expect(() => untyped(value)).toThrow(refused)
    expect(untyped({ [name]: null })).toEqual({}) // null is absent
  })
})
