import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeBase64url, encodeBase64url, sha256 } from './base64url.ts'

it('reads back what it writes', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(decodeBase64url(encodeBase64url(bytes))).toEqual(Buffer.from(bytes))
      // A view must not reveal the neighbouring bytes of its buffer.
      expect(encodeBase64url(new Uint8Array(bytes).subarray(1))).toBe(encodeBase64url(bytes.slice(1)))
    }),
  )
})

it('reads one spelling only (V10)', () => {
  const alphabet = [...'ABCxyz019-_+/= \n.~é']
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...alphabet) }), (text) => {
      const bytes = decodeBase64url(text)
      if (bytes !== undefined) expect(encodeBase64url(bytes)).toBe(text)
    }),
    { numRuns: 1000 },
  )
  for (const text of ['AA==', 'AB', 'A', 'AA\n', ' AA', '+/+/', 'AAAA.', 'AA A', 'AAAAA', 'ＡＡ'])
    expect(decodeBase64url(text), text).toBeUndefined()
  expect(decodeBase64url('')).toEqual(Buffer.alloc(0))
  expect(decodeBase64url('-_8')).toEqual(Buffer.from([0xfb, 0xff]))
})

it('hashes the UTF-8 of a text', () => {
  expect(sha256('')).toBe('47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU')
  expect(sha256('Grüße')).toBe(sha256(Buffer.from('Grüße')))
})
