import {
  calculateJwkThumbprint,
  createLocalJWKSet,
  decodeJwt,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose'
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
    const { kid, keys } = await keySetOf(jwk)
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

interface KeySet {
  kid: string
  keys: JWTVerifyGetKey
}

/** By the key itself: naming and importing it costs more than verifying by it. Pure: a memo, no state; the oldest goes first. */
const keySets = new Map<string, KeySet>()
const rememberedKeySets = 16

async function keySetOf(jwk: PublicJwk): Promise<KeySet> {
  const name = JSON.stringify(jwk)
  const known = keySets.get(name)
  if (known) return known
  const kid = await calculateJwkThumbprint(jwk)
  const made = { kid, keys: createLocalJWKSet({ keys: [{ ...jwk, kid }] }) }
  keySets.set(name, made)
  if (keySets.size > rememberedKeySets) keySets.delete(keySets.keys().next().value ?? name)
  return made
}

/** The claims of a JWT that was verified before, read by the same library; undefined for what is none. */
export function claimsAsOthersDo(jwt: string): JWTPayload | undefined {
  try {
    return decodeJwt(jwt)
  } catch {
    return undefined
  }
}
