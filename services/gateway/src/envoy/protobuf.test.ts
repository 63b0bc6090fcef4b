import { expect, it } from 'vitest'
import { field, integerField, Message, valueIn } from './protobuf.ts'

it('reads the fields that it was asked for, and skips all others', () => {
  const bytes = Buffer.concat([
    integerField(1, 300),
    Buffer.from([0x2d, 1, 2, 3, 4]), // field 5, 32 bits
    Buffer.from([0x31, 1, 2, 3, 4, 5, 6, 7, 8]), // field 6, 64 bits
    field(2, 'é'),
    field(1000, 'x'),
    field(3, field(1, 'a')),
    field(3, field(1, 'b')),
  ])
  const message = new Message(bytes, [1, 2, 3])
  expect([message.integer(1), message.text(2), message.has(5)]).toEqual([300n, 'é', false])
  expect(message.all(3).map((each) => new Message(each, [1]).text(1))).toEqual(['a', 'b'])
  expect([message.text(4), message.integer(4), message.bytes(4), message.all(4)]).toEqual(['', 0n, undefined, []])
})

it('keeps 64 bits of an integer', () => {
  const minusOne = new Message(Buffer.from([0x08, ...Array(9).fill(0xff), 0x01]), [1])
  expect(minusOne.integer(1)).toBe(2n ** 64n - 1n)
})

it.each<[string, () => unknown]>([
  ['a field twice', () => new Message(Buffer.concat([field(1, 'a'), field(1, 'a')]), [1]).text(1)],
  ['an integer twice', () => new Message(Buffer.concat([integerField(1, 1), integerField(1, 1)]), [1]).integer(1)],
  ['bytes as an integer', () => new Message(field(1, 'a'), [1]).integer(1)],
  ['an integer as bytes', () => new Message(integerField(1, 1), [1]).all(1)],
  ['text that is not UTF-8', () => new Message(field(1, Buffer.from([0xff])), [1]).text(1)],
  ['an end within a tag', () => new Message(Buffer.from([0x80]), [])],
  ['an end within 32 bits', () => new Message(Buffer.from([0x0d, 1, 2, 3]), [])],
  ['an end within bytes', () => new Message(Buffer.from([0x0a, 2, 0x61]), [])],
  ['a length without end', () => new Message(Buffer.from([0x0a, ...Array(9).fill(0xff), 0x01]), [])],
  ['an integer of 65 bits', () => new Message(Buffer.from([0x08, ...Array(9).fill(0xff), 0x02]), [])],
  ['field 0', () => new Message(Buffer.from([0x02, 0x00]), [])],
  ['a field beyond the last number', () => new Message(Buffer.from([0x80, 0x80, 0x80, 0x80, 0x10, 0]), [])],
  ['a group', () => new Message(Buffer.from([0x0b, 0x0c]), [])],
  ['a key twice', () => valueIn([field(1, 'a'), field(1, 'a')], 'a')],
])('refuses %s', (_, read) => {
  expect(read).toThrow('request_malformed')
})

it('finds the value of a key, which may be empty', () => {
  const entries = [Buffer.concat([field(1, 'a'), field(2, 'x')]), field(1, 'b')]
  expect(Buffer.from(valueIn(entries, 'a') ?? []).toString()).toBe('x')
  expect(valueIn(entries, 'b')).toEqual(new Uint8Array())
  expect(valueIn(entries, 'c')).toBeUndefined()
})
