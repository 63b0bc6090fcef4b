import { expect, it } from 'vitest'
import { decodeEntered, encodeEntered } from './entered.ts'

const entries = ['a', '', 'a\nb'].map((text) => Buffer.from(text))
const consumed = { 'grants.v1': { 0: 4 } }

it('reads back what it wrote, for any entries (V2)', () => {
  const bytes = encodeEntered({ entries, consumed })
  expect(bytes.subarray(0, bytes.indexOf(0x0a)).toString()).toBe(JSON.stringify({ v: 1, consumed }))
  const read = decodeEntered(bytes, 3)
  expect(read.consumed).toEqual(consumed)
  expect(read.entries.map((entry) => Buffer.from(entry).toString())).toEqual(['a', '', 'a\nb'])
})

it('refuses anything else, and another number of entries (V14)', () => {
  const bytes = Buffer.from(encodeEntered({ entries, consumed }))
  const changed = (from: string, to: string) => Buffer.from(bytes.toString('latin1').replace(from, to), 'latin1')
  const wrong: [Uint8Array, number][] = [
    [bytes, 2],
    [bytes, 4],
    [bytes.subarray(1), 3],
    [bytes.subarray(0, -1), 3],
    [changed('"v":1', '"v":2'), 3],
    [changed('"v":1', '"v":1,"w":1'), 3],
    [changed('4}', '-4}'), 3],
    [Buffer.from('no line'), 0],
    [new Uint8Array(), 0],
  ]
  for (const [record, count] of wrong)
    expect(() => decodeEntered(record, count)).toThrow(
      expect.objectContaining({ code: 'log_inconsistent', message: expect.stringContaining('journal') }),
    )
})
