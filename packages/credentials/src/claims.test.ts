import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { signAccessToken } from './access-token.ts'
import { encodeBase64url } from './base64url.ts'
import { permittedHash } from './permit.ts'
import { saltedHash } from './salted-text.ts'
import { accessTokenClaims, forge, keyFor, sampleOf, samples } from './samples.test-data.ts'

// Only `contracts` parses an event's payload, strictly, after verifying its signature; all other claims are parsed here.
const compact = samples.filter(({ kind }) => kind !== 'event')
const ours = compact.filter(({ kind }) => kind !== 'dpopProof' && kind !== 'clientAssertion')

describe.each(compact)('$kind', ({ claims, header, optional, sign, verify }) => {
  it('is refused in every other spelling of its three segments (V10)', () => {
    const segments = sign().split('.')
    for (const [index, segment] of segments.entries()) {
      for (const variant of [...spellings(segment), ...looseBits(segment)]) {
        const jws = segments.with(index, variant).join('.')
        expect(verify(jws), `segment ${index}: ${variant.slice(-6)}`).toMatchObject({ ok: false })
      }
    }
  })

  it('is refused with a segment more, or text around it', () => {
    const jws = sign()
    for (const text of [`${jws}.`, `${jws}.AAAA`, `.${jws}`, ` ${jws}`, `${jws}\n`, `${jws}\0`, `DPoP ${jws}`]) {
      expect(verify(text)).toMatchObject({ ok: false })
    }
  })

  it('is refused when what is signed is not one strict JSON object', () => {
    const text = JSON.stringify(claims)
    const [name, value] = Object.entries(claims)[0] ?? []
    for (const payload of [
      `{"${name}":${JSON.stringify(value)},${text.slice(1)}`,
      `{"__proto__":{},${text.slice(1)}`,
      `[${text}]`,
      `${text},`,
      `\ufeff${text}`,
      'null',
      '"x"',
      '',
      '{}',
    ]) {
      expect(verify(forge(header, payload)), payload.slice(0, 30)).toMatchObject({ ok: false, code: 'token_malformed' })
    }
  })

  it.each(Object.keys(claims).map((claim) => [claim]))('needs %s, if it is not optional', (claim) => {
    const { [claim]: _, ...rest } = claims
    expect(verify(forge(header, rest)).ok).toBe(optional.includes(claim))
    expect(verify(forge(header, { ...claims, [claim]: null }))).toMatchObject({ ok: false, code: 'token_malformed' })
  })

  it('is refused after any change of one character', () => {
    const jws = sign()
    for (let at = 0; at < jws.length; at += 7) {
      const changed = `${jws.slice(0, at)}${jws[at] === 'A' ? 'B' : 'A'}${jws.slice(at + 1)}`
      expect(verify(changed), `character ${at}`).toMatchObject({ ok: false })
    }
  })

  it('gives a value for any input, and repeats nothing of what was sent (V13, V17)', () => {
    const segment = fc.oneof(fc.base64String(), fc.json().map(encodeBase64url), fc.constantFrom(...sign().split('.')))
    const text = fc.oneof(
      fc.string(),
      fc.array(segment, { maxLength: 4 }).map((s) => s.join('.')),
    )
    fc.assert(
      fc.property(text, (jws) => {
        fc.pre(jws !== sign())
        const verified = verify(jws)
        if (!verified.ok) expect(verified.detail.length).toBeLessThan(100)
      }),
      { numRuns: 60 },
    )
    for (const hostile of [undefined, null, 1, {}, ['a', 'b', 'c'], 'a'.repeat(100_000)]) {
      expect(verify(hostile as string)).toMatchObject({ ok: false })
    }
  })
})

describe.each(ours)('$kind, which only we make', ({ claims, header, verify }) => {
  it('is refused with a claim that is not understood', () => {
    expect(verify(forge(header, { ...claims, admin: true }))).toMatchObject({ ok: false, code: 'token_malformed' })
  })
})

it('a permit’s salt is 16 bytes of one spelling, or the permit is none: nothing else may name a call in an outcome (V1, V17)', () => {
  const { claims, header, verify } = sampleOf('permit')
  const permit = { ...claims, action_digest: 'A'.repeat(43) }
  const salt = Buffer.alloc(16, 7).toString('base64url')
  expect(verify(forge(header, { ...claims, action_salt: salt }))).toMatchObject({ ok: true })
  for (const action_salt of ['', 'AAAA', `${'A'.repeat(21)}B`, `${'A'.repeat(21)}=`, 'A'.repeat(43), 7, null]) {
    expect(verify(forge(header, { ...claims, action_salt }))).toMatchObject({ ok: false, code: 'token_malformed' })
    if (typeof action_salt !== 'string') continue
    expect(() => permittedHash({ ...permit, action_salt }, 'the call')).toThrow(
      expect.objectContaining({ code: 'invariant_broken' }),
    )
  }
  expect(permittedHash({ ...permit, action_salt: salt }, 'the call')).toBe(saltedHash({ salt, text: 'the call' }))
  expect(permittedHash(permit, 'the call')).toBe(permit.action_digest)
})

it('holds a JWS to 32,768 characters, on both sides', () => {
  const { claims, header, verify } = sampleOf('clientAssertion')
  const padded = (length: number) => forge(header, { ...claims, padding: 'x'.repeat(length) })
  expect(verify(padded(20_000))).toMatchObject({ ok: true })
  expect(verify(padded(25_000))).toMatchObject({ ok: false, code: 'token_malformed' })
  const details = [{ type: 'bailiwick_task', task: 'x'.repeat(25_000) }]
  const sign = () => signAccessToken({ ...accessTokenClaims, authorization_details: details }, keyFor('credential'))
  expect(sign).toThrow(expect.objectContaining({ code: 'invariant_broken' }))
})

/** Other texts that a lax decoder reads as the same bytes. */
function spellings(segment: string): string[] {
  const half = segment.length >> 1
  const variants = [' ', '\n', '=', '\t', '\u0000', '~'].flatMap((c) => [
    segment + c,
    c + segment,
    segment.slice(0, half) + c + segment.slice(half),
  ])
  return [...variants, `${segment}==`, segment.replaceAll('-', '+').replaceAll('_', '/')].filter((v) => v !== segment)
}

/** The same bytes, with the unused bits of the last character set. */
function looseBits(segment: string): string[] {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const unused = { 2: 15, 3: 3 }[segment.length % 4] ?? 0
  const last = alphabet.indexOf(segment.at(-1) ?? '')
  return Array.from({ length: unused }, (_, n) => segment.slice(0, -1) + alphabet[last ^ (n + 1)])
}
