import { calculateJwkThumbprint, createLocalJWKSet, decodeJwt, type JWTPayload, jwtVerify } from 'jose'
import type { PublicJwk } from './jwk.ts'

/**
 * Reads a credential as a resource server elsewhere does: with a library that is not ours, by RFC 9068 alone. Whoever minted it
 * holds the result against what was approved. `kid`: of the key that signed it, found by its header. undefined for what such a server
 * would refuse.
 */
export async function readAsOthersDo(
  token: string,
  { jwk, issuer, audience, now }: { jwk: PublicJwk; issuer: string; audience: readonly string[]; now: number },
): Promise<{ claims: JWTPayload; kid: string } | undefined> {
  try {
    const kid = await calculateJwkThumbprint(jwk)
    const keys = createLocalJWKSet({ keys: [{ ...jwk, kid }] })
    const { payload } = await jwtVerify(token, keys, {
      algorithms: ['ES256'],
      typ: 'at+jwt',
      issuer,
      audience: [...audience],
      requiredClaims: ['sub', 'client_id', 'iat', 'exp', 'jti', 'cnf', 'authorization_details'],
      currentDate: new Date(now),
    })
    return { claims: payload, kid }
  } catch {
    return undefined
  }
}

/** The claims of a JWT that was verified before, read by the same library; undefined for what is none. */
export function claimsAsOthersDo(jwt: string): JWTPayload | undefined {
  try {
    return decodeJwt(jwt)
  } catch {
    return undefined
  }
}
