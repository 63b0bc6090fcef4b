import { encodeBase64url } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { encodeTreeHead, type LockedHead, parseTreeHead } from './tree-head.ts'

const root = Buffer.alloc(32, 3)
const head: LockedHead = { origin: 'log.example/1', time: 5, size: 2, root, consumed: { 'grants.v1': { 0: 4, 1: 0 } } }
const said = { v: 2, ...head, root: encodeBase64url(root) }
const parse = (said: object) => parseTreeHead(Buffer.from(JSON.stringify(said)))

it('reads what it wrote, a line of JSON', () => {
  const text = Buffer.from(encodeTreeHead(head)).toString()
  expect(JSON.parse(text)).toEqual(said)
  expect(text).toMatch(/\}\n$/)
  expect(parseTreeHead(Buffer.from(text))).toEqual(head)
})

it('takes any time for later than that of a head of version 1, which had none', () => {
  const { time: _, ...untimed } = said
  expect(parse({ ...untimed, v: 1 })).toEqual({ ...head, time: 0 })
})

it.each<[string, object]>([
  ['of another version', { ...said, v: 3 }],
  ['with a member more', { ...said, more: 1 }],
  ['of version 1 with a time', { ...said, v: 1 }],
  ['of version 2 without a time', { ...said, time: undefined }],
  ['with a negative time', { ...said, time: -1 }],
  ['with a part of a leaf', { ...said, size: 1.5 }],
  ['with fewer than no leaves', { ...said, size: -1 }],
  ['of a log without a name', { ...said, origin: '' }],
  ['with a root that is no hash', { ...said, root: 'AAAA' }],
  ['with a position before the first', { ...said, consumed: { 'grants.v1': { 0: -1 } } }],
  ['with a position that is no number', { ...said, consumed: { 'grants.v1': { 0: '1' } } }],
])('refuses a head %s (V14)', (_, changed) => {
  expect(() => parse(changed)).toThrow(
    expect.objectContaining({ code: 'log_inconsistent', message: expect.stringContaining('tree-head.json') }),
  )
})

it('refuses what is no JSON, and says why (V14)', () => {
  expect(() => parseTreeHead(Buffer.from('{"v":2'))).toThrow(
    expect.objectContaining({ code: 'log_inconsistent', cause: expect.anything() }),
  )
})
