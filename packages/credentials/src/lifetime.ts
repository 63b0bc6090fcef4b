import { z } from 'zod'
import { type Refused, refused } from './verified.ts'

/** The moment of a verification, in ms since the epoch, and how far the signer's clock may be off. */
export interface Clocked {
  readonly now: number
  readonly leewayMs: number
}

/** RFC 7519 NumericDate, in whole seconds. */
export const numericDateSchema = z.int().min(0).max(253_402_300_799)

/** The unique id of a token, proof or assertion. Replay memories are keyed by it and its signer. */
export const jtiSchema = z.string().min(1).max(256)

/** For schemas of claims that live at most `seconds`: checked both when signing and when verifying. */
export const livesAtMost = (seconds: number) => (claims: { iat: number; exp: number }) =>
  claims.iat < claims.exp && claims.exp - claims.iat <= seconds

/** Why these claims are not valid at this moment. Each comparison must be true to pass: an unknown time (NaN) is refused. */
export function lifetimeProblem(
  claims: { iat?: number | undefined; nbf?: number | undefined; exp: number },
  { now, leewayMs }: Clocked,
): Refused | undefined {
  const since = Math.max(claims.iat ?? 0, claims.nbf ?? 0) * 1000
  if (!(since - leewayMs <= now)) return refused('token_expired', 'not valid yet')
  if (!(now < claims.exp * 1000 + leewayMs)) return refused('token_expired', 'expired')
  return undefined
}
