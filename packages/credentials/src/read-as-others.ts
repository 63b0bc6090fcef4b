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
 * Reads a credential like a resource server elsewhere: with a library that is not ours, by RFC 9068 alone. The issuer compares the result
 * with what was approved. `kid`: the id of the signing key, found by the credential's header. undefined if such a server would refuse it.
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

/**
 * Keyed by the key object: naming and importing a key costs more than verifying with it. Pure: a memo, not state; the oldest goes first.
 */
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

/** The claims of an already verified JWT, parsed by the same library; undefined if it is not a JWT. */
export function claimsAsOthersDo(jwt: string): JWTPayload | undefined {
  try {
    return decodeJwt(jwt)
  } catch {
    return undefined
  }
}
