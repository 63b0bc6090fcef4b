import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { addElements, changeMembers, elementSpans, keepElements, memberSpan } from './json-spans.ts'

const spaces = fc.array(fc.constantFrom(' ', '\n', '\t', '\r'), { maxLength: 2 }).map((each) => each.join(''))

it('finds a member and its elements in any text that JSON has', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.jsonValue(), fc.string(), fc.nat(4), (items, other, name, indent) => {
      const text = JSON.stringify(
        { [name]: other, before: '"result":[', result: { x: other, list: items } },
        undefined,
        indent,
      )
      const list = memberSpan(text, ['result', 'list'])
      if (list === undefined) throw new Error('not found')
      const elements = elementSpans(text, list).map(({ start, end }) => JSON.parse(text.slice(start, end)))
      expect(elements).toEqual(JSON.parse(text).result.list)
    }),
  )
})

it('leaves out elements, and changes nothing else', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.jsonValue(), fc.boolean())), spaces, (items, space) => {
      const text = `${space}{"a":"\\u0061","n":1.0,${space}"list":${space}[${items.map(([item]) => `${space}${JSON.stringify(item)}`).join(`${space},`)}${space}]${space},"z":[1e2]}`
      const list = memberSpan(text, ['list'])
      if (list === undefined) throw new Error('not found')
      const spans = elementSpans(text, list)
      const kept = keepElements(
        text,
        list,
        spans.filter((_, n) => items[n]?.[1] === true),
      )
      expect(JSON.parse(kept).list).toEqual(
        items.filter(([, keep]) => keep).map(([item]) => JSON.parse(JSON.stringify(item))),
      )
      expect(kept.startsWith(text.slice(0, list.start))).toBe(true)
      expect(kept.endsWith(text.slice(list.end))).toBe(true)
    }),
  )
})

it('leaves out members and adds some, and changes no other', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue(), fc.nat(4), (members, value, indent) => {
      const object = { ...members, drop: 1, same: 2 }
      const text = JSON.stringify({ at: object, after: [1] }, undefined, indent)
      const span = memberSpan(text, ['at'])
      if (span === undefined) throw new Error('not found')
      const changed = JSON.parse(changeMembers(text, span, (name) => name === 'drop', { same: value, more: value }))
      const { drop: _, ...rest } = JSON.parse(JSON.stringify(object))
      const wanted = JSON.parse(JSON.stringify({ ...rest, same: value, more: value }))
      expect(changed).toEqual({ at: wanted, after: [1] })
    }),
  )
  const text = '{"a":1.50, "b" : "\\u0061","c":1}'
  const kept = changeMembers(text, { start: 0, end: text.length }, (name) => name === 'c')
  expect(kept).toBe('{"a":1.50,"b" : "\\u0061"}')
})

it('finds nothing where there is nothing', () => {
  for (const [text, path] of [
    ['{}', ['a']],
    ['[]', ['a']],
    ['{"a":1}', ['a', 'b']],
    ['{"b":{"a":1}}', ['a']],
  ] as const)
    expect(memberSpan(text, path)).toBeUndefined()
})

it.each([
  ['{"a" : [ ]}', '{"a" : [ {"x":1}]}'],
  ['{"a":[1, "]"\n]}', '{"a":[1, "]"\n,{"x":1}]}'],
])('adds an element to %s', (text, wanted) => {
  const list = memberSpan(text, ['a'])
  expect(list && addElements(text, list, [{ x: 1 }])).toBe(wanted)
})
