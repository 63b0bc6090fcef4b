import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isPointer, isWithinNamed, lookup } from './pointer.ts'

it('finds what RFC 6901 §5 says it finds', () => {
  const document = JSON.parse(
    '{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\\\j":5,"k\\"l":6," ":7,"m~n":8,"~1":9}',
  )
  expect(lookup(document, '/foo')).toEqual(['bar', 'baz'])
  expect(lookup(document, '/foo/0')).toBe('bar')
  expect(
    ['/', '/a~1b', '/c%d', '/e^f', '/g|h', '/i\\j', '/k"l', '/ ', '/m~0n', '/~01'].map((p) => lookup(document, p)),
  ).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

it('finds only what the caller sent, never what a prototype lends', () => {
  const document = { list: ['x'], text: 'abc', number: 5, nothing: null }
  for (const pointer of [
    ...[
      '/constructor',
      '/__proto__',
      '/__proto__/constructor',
      '/toString',
      '/hasOwnProperty',
      '/list/length',
      '/list/map',
    ],
    ...[
      '/list/-',
      '/list/01',
      '/list/1',
      '/list/-1',
      '/list/1e0',
      '/list/ 0',
      '/text/0',
      '/text/length',
      '/number/toFixed',
    ],
    ...['/nothing/x', '/absent', '', 'list', 'xlist', '/list/~2', '/a~'],
  ]) {
    expect(lookup(document, pointer), pointer).toBeUndefined()
  }
  expect(lookup(JSON.parse('{"__proto__":{"x":1}}'), '/__proto__/x')).toBe(1)
  expect(lookup(document, '/nothing')).toBeNull()
})

it('finds each member by its escaped name, in any JSON, and never throws', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (document) => {
      for (const [key, value] of Object.entries(document)) {
        const pointer = `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
        expect(isPointer(pointer)).toBe(true)
        expect(lookup(document, pointer)).toBe(value)
      }
    }),
  )
  fc.assert(fc.property(fc.anything(), fc.string(), (document, text) => void lookup(document, `/${text}`)))
})

it('takes a pointer whole, and of a list every place by its number', () => {
  expect(['/', '/a', '/a~0~1/b', '//'].map(isPointer)).toEqual([true, true, true, true])
  expect(['', 'a', 'a/b', '/a~', '/a~2', '/a~/b'].map(isPointer)).toEqual([false, false, false, false, false, false])
  const list = Array.from({ length: 11 }, (_, n) => `at ${n}`)
  expect(['/0', '/1', '/9', '/10'].map((at) => lookup(list, at))).toEqual(['at 0', 'at 1', 'at 9', 'at 10'])
})

it('says whether every value of a document stands at or below what is named (V5)', () => {
  const names = ['/a', '/b/c', '/d~1e/0', '/f~0']
  for (const within of [
    ...[{}, { a: 1 }, { a: { x: [1, {}] } }, { b: { c: null } }, { 'd/e': ['x'] }, { 'd/e': { 0: 'x' } }, { 'f~': 1 }],
    { a: [], b: { c: {} }, 'd/e': [[1]] },
  ])
    expect([within, isWithinNamed(within, names)]).toEqual([within, true])
  for (const beyond of [
    ...[{ x: 1 }, { b: {} }, { b: [] }, { b: 1 }, { b: { c: 1, x: 1 } }, { 'd/e': ['x', 'y'] }, { 'd/e': [] }],
    ...[[], [1], 1, '', 'x', null, undefined, true, { '': 1 }, { d: { e: [1] } }, JSON.parse('{"__proto__":{"a":1}}')],
  ])
    expect([beyond, isWithinNamed(beyond, names)]).toEqual([beyond, false])
  expect([isWithinNamed({}, []), isWithinNamed({ a: 1 }, [])]).toEqual([true, false])
})

it('looks into no more of a hostile document than the pointers lead through', () => {
  let deep: unknown = 1
  for (let n = 0; n < 100_000; n++) deep = { a: deep }
  expect(isWithinNamed(deep, ['/a/a'])).toBe(true)
  expect(isWithinNamed({ b: deep }, ['/a/a'])).toBe(false)
})
