import { describe, expect, it } from 'vitest'
import { forge, now, sampleOf } from './samples.test-data.ts'

describe.each(['accessRequest', 'clientAssertion', 'accessToken', 'callerAssertion', 'permit'] as const)(
  '%s',
  (kind) => {
    const { claims, header, verify, sign } = sampleOf(kind)
    const exp = Number(claims.exp) * 1000

    it('lives from iat until just before exp, and the leeway beyond', () => {
      expect(verify(sign(), { now: exp - 1 })).toMatchObject({ ok: true })
      expect(verify(sign(), { now: exp })).toMatchObject({ ok: false, code: 'token_expired' })
      // A credential's end is exact, even if a clock is behind.
      expect(verify(sign(), { now: exp + 999, leewayMs: 1000 }).ok).toBe(kind !== 'accessToken')
      expect(verify(sign(), { now: exp - 1, leewayMs: 1000 })).toMatchObject({ ok: true })
      expect(verify(sign(), { now: exp + 1000, leewayMs: 1000 })).toMatchObject({ ok: false, code: 'token_expired' })
      expect(verify(sign(), { now: now - 1 })).toMatchObject({ ok: false, code: 'token_expired' })
      expect(verify(sign(), { now: now - 1000, leewayMs: 1000 })).toMatchObject({ ok: true })
    })

    it('is dead at a time that is none (V13)', () => {
      expect(verify(sign(), { now: Number.NaN })).toMatchObject({ ok: false, code: 'token_expired' })
      expect(verify(sign(), { leewayMs: Number.NaN })).toMatchObject({ ok: false, code: 'token_expired' })
    })

    it('lives no longer than its kind may, even if its signature is valid', () => {
      const longest = { accessRequest: 3600, clientAssertion: 300, accessToken: 600, callerAssertion: 60, permit: 5 }[
        kind
      ]
      const iat = Number(claims.iat)
      expect(verify(forge(header, { ...claims, exp: iat + longest }))).toMatchObject({ ok: true })
      for (const wrong of [iat + longest + 1, iat - 1, iat + 0.5, -1, 1e300, `${iat + 1}`]) {
        expect(verify(forge(header, { ...claims, exp: wrong })), String(wrong)).toMatchObject({ ok: false })
      }
      // With the leeway at both ends, a life that ends before it begins would otherwise pass.
      const backwards = verify(forge(header, { ...claims, exp: iat - 1 }), { leewayMs: 5000 })
      if (kind !== 'clientAssertion') expect(backwards).toMatchObject({ ok: false, code: 'token_malformed' })
    })
  },
)
