import { decodeCredentialPublicKey } from '@simplewebauthn/server/helpers'

/**
 * The accepted passkey algorithms, by COSE number (RFC 9053, RFC 8812): ES256, EdDSA, RS256 (Windows Hello). The library alone would accept
 * SHA-1 and any algorithm that the runtime adds later.
 */
export const passkeyAlgorithms = [-7, -8, -257]

// COSE labels (RFC 9052 §7.1, RFC 9053 §7, RFC 8230 §4); for RSA, -1 is n and -2 is e.
const kty = 1
const alg = 3
const crv = -1
const n = -1
const e = -2

/**
 * Whether COSE bytes are a key of exactly one of `passkeyAlgorithms`, on that algorithm's own curve (V12). An RSA key must have 2048 bits
 * and the exponent 65537: with an exponent of 1, anyone can sign.
 */
export function isPasskeyKey(coseKey: Uint8Array): boolean {
  const key = decode(coseKey)
  switch (key?.get(alg)) {
    case -7:
      return key.get(kty) === 2 && key.get(crv) === 1
    case -8:
      return key.get(kty) === 1 && key.get(crv) === 6
    case -257:
      return key.get(kty) === 3 && bytesOf(key.get(n)).length >= 256 && bytesOf(key.get(e)).toString('hex') === '010001'
    default:
      return false
  }
}

function decode(coseKey: Uint8Array): ReadonlyMap<number, unknown> | undefined {
  try {
    const key: unknown = decodeCredentialPublicKey(Uint8Array.from(coseKey))
    return key instanceof Map ? key : undefined
  } catch {
    return undefined
  }
}

function bytesOf(value: unknown): Buffer {
  return value instanceof Uint8Array ? Buffer.from(value) : Buffer.alloc(0)
}
