import fc from 'fast-check'
import { flattenedVerify, importJWK } from 'jose'
import { expect, it } from 'vitest'
import { encodeBase64url } from './base64url.ts'
import { eventKeyId, otherSpellingOf, signEvent, splitEvent, verifyEventSignature } from './event-signature.ts'
import { generateKey, publicKeyOf } from './keys.ts'

const key = generateKey('issuer-event')
const open = publicKeyOf(key)
const unsigned = Buffer.from('{"specversion":"1.0","id":"evt-00000001","data":{"text":"Grüße","jws":"a..b"}}')
const signed = signEvent(unsigned, key)
const text = Buffer.from(signed).toString()

it('adds one member behind all others and changes no byte before it', () => {
  expect(text.startsWith(unsigned.toString().slice(0, -1))).toBe(true)
  expect(Object.keys(JSON.parse(text))).toEqual(['specversion', 'id', 'data', 'jws'])
  expect(splitEvent(signed)).toEqual({ unsigned, jws: JSON.parse(text).jws })
  expect(eventKeyId(signed)).toBe(key.kid)
  expect(verifyEventSignature(signed, open)).toEqual({ ok: true, value: { unsigned } })
})

it('is a detached JWS, by the word of jose (RFC 7515 appendix F)', async () => {
  const [header = '', , signature = ''] = JSON.parse(text).jws.split('.')
  const jws = { protected: header, payload: encodeBase64url(unsigned), signature }
  const read = await flattenedVerify(jws, await importJWK(open.jwk, 'ES256'))
  expect(Buffer.from(read.payload).equals(unsigned)).toBe(true)
  expect(read.protectedHeader).toEqual({ alg: 'ES256', kid: key.kid, typ: 'bailiwick-event+jws' })
})

it('gives back the bytes of any event that it signed', () => {
  const event = fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 })
  fc.assert(
    fc.property(event, (value) => {
      const bytes = Buffer.from(JSON.stringify(value))
      const back = verifyEventSignature(signEvent(bytes, key), open)
      expect(back).toEqual({ ok: true, value: { unsigned: bytes } })
    }),
  )
})

it('knows the other signature that verifies alike, and from that one the first', () => {
  for (let n = 0; n < 50; n++) {
    const event = signEvent(Buffer.from(JSON.stringify({ n })), key)
    const other = otherSpellingOf(event) ?? expect.fail('it has none')
    expect(Buffer.from(other).equals(event)).toBe(false)
    expect(verifyEventSignature(other, open)).toMatchObject({ ok: true })
    expect(otherSpellingOf(other)).toEqual(Buffer.from(event))
  }
  expect(otherSpellingOf(unsigned)).toBeUndefined()
  expect(otherSpellingOf(Buffer.alloc(0))).toBeUndefined()
  const none = (fill: string) => Buffer.from(text.replace(/\.\.[\w-]{86}/, `..${fill.repeat(86)}`))
  expect([otherSpellingOf(none('A')), otherSpellingOf(none('_'))]).toEqual([undefined, undefined])
})

it('fails after every flip of a single bit (V12)', () => {
  const bytes = Buffer.from(signed)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const at = bit >> 3
    const byte = bytes[at] ?? 0
    bytes[at] = byte ^ (1 << (bit & 7))
    if (verifyEventSignature(bytes, open).ok) expect.fail(`bit ${bit} may be flipped`)
    bytes[at] = byte
  }
  expect(verifyEventSignature(bytes, open)).toMatchObject({ ok: true })
})

it.each([
  ['a byte behind it', `${text}\n`],
  ['a byte before it', ` ${text}`],
  ['a member behind jws', `${text.slice(0, -1)},"x":1}`],
  ['white space in jws', text.replace('"jws":"ey', '"jws": "ey')],
  ['white space before jws', text.replace(',"jws":"ey', ', "jws":"ey')],
  ['white space at the end', text.replace(/"\}$/, '" }')],
  ['an escape in the name', text.replace('"jws":"ey', '"\\u006aws":"ey')],
  ['jws alone', text.slice(text.indexOf('"jws":"ey')).replace(/^/, '{')],
  ['a payload in jws', text.replace('..', `.${encodeBase64url(unsigned)}.`)],
  ['no header', text.replace(/"jws":"ey[^.]*/, '"jws":"')],
  ['a second jws', text.replace(/\}$/, text.slice(text.indexOf(',"jws":"ey')))],
  ['no jws', unsigned.toString()],
  ['nothing', ''],
])('is refused with %s', (_, event) => {
  expect(verifyEventSignature(Buffer.from(event), open)).toMatchObject({ ok: false })
})

it('takes jws apart only where it closes the outermost object', () => {
  const jws = JSON.parse(text).jws
  for (const event of [`["x","jws":"${jws}"}`, `"x,"jws":"${jws}"}`, `{,"jws":"${jws}"}`, `{"a":1,"JWS":"${jws}"}`]) {
    expect(splitEvent(Buffer.from(event)), event).toBeUndefined()
    expect(eventKeyId(Buffer.from(event))).toBeUndefined()
  }
})

it('refuses to sign what is no object with members', () => {
  for (const bytes of ['', '{}', '[]', '{ }', '"x"', '{"a":1', ' {"a":1}', '{"a":1}\n']) {
    expect(() => signEvent(Buffer.from(bytes), key)).toThrow(expect.objectContaining({ code: 'invariant_broken' }))
  }
})

it('holds events to 65,535 bytes, signature included', () => {
  const sized = (length: number) => Buffer.from(JSON.stringify({ a: 'x'.repeat(length - '{"a":""}'.length) }))
  const room = 65_535 - (signed.length - unsigned.length)
  const largest = signEvent(sized(room), key)
  expect(largest.length).toBe(65_535)
  expect(verifyEventSignature(largest, open)).toMatchObject({ ok: true })
  expect(() => signEvent(sized(room + 1), key)).toThrow(expect.objectContaining({ code: 'event_too_large' }))
  expect(verifyEventSignature(Buffer.alloc(65_536), open)).toMatchObject({ ok: false, code: 'event_too_large' })
})

it('reads events that are views of a larger buffer', () => {
  const frame = Buffer.concat([Buffer.from('xx'), signed, Buffer.from('yy')])
  const view = new Uint8Array(frame.buffer, frame.byteOffset + 2, signed.length)
  expect(verifyEventSignature(view, open)).toEqual({ ok: true, value: { unsigned } })
})
