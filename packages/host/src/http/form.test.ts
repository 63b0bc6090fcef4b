import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { formLimits, parseForm } from './form.ts'

const read = (text: string) => parseForm(Buffer.from(text, 'latin1'))
const refused = (detail: string) => ({ ok: false, code: 'request_malformed', detail })

it('gives back what URLSearchParams writes', () => {
  const name = fc.stringMatching(/^[A-Za-z0-9._-]{1,20}$/).filter((name) => name !== '__proto__')
  const value = fc.string({ unit: 'grapheme', minLength: 1 }).filter((value) => value.isWellFormed())
  fc.assert(
    fc.property(fc.dictionary(name, value, { minKeys: 1, maxKeys: 10, noNullPrototype: true }), (parameters) => {
      expect(read(new URLSearchParams(parameters).toString())).toEqual({ ok: true, value: parameters })
    }),
  )
})

it.each([
  ['grant_type=a&scope=x&grant_type=b', 'grant_type: given more than once'],
  ['grant_type=a&grant_type=a', 'grant_type: given more than once'],
  ['a=', 'a: empty'],
  ['a', 'a: empty'],
  ['', 'an empty form'],
  ['a=1&', 'a parameter whose name is not plain'],
  ['&a=1', 'a parameter whose name is not plain'],
  ['=1', 'a parameter whose name is not plain'],
  ['%61=1', 'a parameter whose name is not plain'],
  ['a[]=1', 'a parameter whose name is not plain'],
  ['__proto__=1', 'a parameter whose name is not plain'],
  [`${'n'.repeat(65)}=1`, 'a parameter whose name is not plain'],
  ['a=%', 'a: a broken escape'],
  ['a=%zz', 'a: a broken escape'],
  ['a=%C0%A2', 'a: a broken escape'],
  ['a=%ED%A0%80', 'a: a broken escape'],
  ['a=%FF', 'a: a broken escape'],
  ['a=é', 'a character that must be escaped'],
  ['a=1\r\nb=2', 'a character that must be escaped'],
  ['a=1\0', 'a character that must be escaped'],
  [`a=${'x'.repeat(32_769)}`, 'a: more than 32768 characters'],
  [Array.from({ length: 65 }, (_, n) => `p${n}=1`).join('&'), 'more than 64 parameters'],
])('refuses %j', (text, detail) => {
  expect(read(text)).toEqual(refused(detail))
})

it('takes as much as its limits allow', () => {
  const text = Array.from({ length: formLimits.maxParameters }, (_, n) => `p${n}=1`).join('&')
  expect(read(text).ok).toBe(true)
  expect(read(`a=${'x'.repeat(formLimits.maxValueLength)}`).ok).toBe(true)
  expect(read('a=b=c+d')).toEqual({ ok: true, value: { a: 'b=c d' } })
})

it('never throws, for any bytes (V13)', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void parseForm(bytes)))
})
