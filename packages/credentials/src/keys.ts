import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import { ServiceError } from '@bailiwick/errors'
import {
  type Algorithm,
  algorithmOf,
  type PrivateJwk,
  type PublicJwk,
  parsePrivateJwk,
  parsePublicJwk,
  thumbprint,
} from './jwk.ts'
import type { Purpose } from './kinds.ts'
import { KnownSignatures } from './known-signatures.ts'

/** The purposes whose keys are JWKs: all except the log's, which `tlog` owns. */
export type KeyPurpose = Exclude<Purpose, 'log'>

/** A key that signs, for one purpose. It has no readable secret: if logged, it shows the public half. */
export interface SigningKey<P extends KeyPurpose = KeyPurpose> {
  readonly purpose: P
  /** The thumbprint of its public half (RFC 7638). */
  readonly kid: string
  readonly alg: Algorithm
  readonly publicJwk: PublicJwk
  /** 64 bytes, as required by JWS (RFC 7518 §3.4, RFC 8037 §3.1). */
  sign(data: Uint8Array): Uint8Array
}

/** A key that verifies, for one purpose. It comes from a record that determines its purpose, never from a header. */
export interface VerifyingKey<P extends KeyPurpose = KeyPurpose> {
  readonly purpose: P
  readonly kid: string
  readonly alg: Algorithm
  readonly jwk: PublicJwk
  verify(data: Uint8Array, signature: Uint8Array): boolean
}

/** Private halves by signing key, so that no serialisation of a key can show one (V17). */
const privateHalves = new WeakMap<SigningKey, KeyObject>()

/** In a process with several services, each of them reads the same events. Pure: a memo, not state. */
const signatures = new KnownSignatures()

/** Only agents choose their own keys; all our keys are ES256, which verifies faster. */
function algorithmAllowed(purpose: Purpose, alg: Algorithm): boolean {
  return alg === 'ES256' || purpose === 'agent'
}

/** A new key. Throws `invariant_broken` for EdDSA with a purpose other than agent. */
export function generateKey<P extends KeyPurpose>(purpose: P, alg: Algorithm = 'ES256'): SigningKey<P> {
  const { privateKey } =
    alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519')
  const key = importPrivateKey(purpose, privateKey.export({ format: 'jwk' }))
  if (key === undefined) throw new ServiceError('invariant_broken', `a ${purpose} key cannot be ${alg}`)
  // Named in a command, such a key id would be read as an option.
  return key.kid.startsWith('-') ? generateKey(purpose, alg) : key
}

/** Imports a private JWK as a key of this purpose; undefined if it is not valid, is incomplete, or may not have the purpose. */
export function importPrivateKey<P extends KeyPurpose>(purpose: P, jwk: unknown): SigningKey<P> | undefined {
  const parsed = parsePrivateJwk(jwk)
  if (parsed === undefined) return undefined
  const { d, ...publicJwk } = parsed
  const alg = algorithmOf(publicJwk)
  const half = attempt(() => createPrivateKey({ key: { ...parsed }, format: 'jwk' }))
  if (half === undefined || !algorithmAllowed(purpose, alg)) return undefined
  const kid = thumbprint(publicJwk)
  const key: SigningKey<P> = {
    purpose,
    kid,
    alg,
    publicJwk,
    sign(data) {
      const signature = sign(digest[alg], data, { key: half, dsaEncoding: 'ieee-p1363' })
      signatures.add(kid, data, signature)
      return signature
    },
  }
  privateHalves.set(key, half)
  return key
}

/** The private JWK, for a key file. The only way to read the secret. */
export function exportPrivateKey(key: SigningKey): PrivateJwk {
  const parsed = parsePrivateJwk(privateHalves.get(key)?.export({ format: 'jwk' }))
  if (parsed === undefined) throw new ServiceError('invariant_broken', 'the key was not made here')
  return parsed
}

/** The private half as encrypted PKCS#8 (PBES2, AES-256), in PEM, for a key file. openssl can read it with the same secret. */
export function encryptPrivateKey(key: SigningKey, secret: string): string {
  const half = privateHalves.get(key)
  if (half === undefined) throw new ServiceError('invariant_broken', 'the key was not made here')
  return String(half.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: secret }))
}

/** Imports the result of `encryptPrivateKey` as a key of this purpose; undefined if it is not a valid key, or the secret is wrong. */
export function decryptPrivateKey<P extends KeyPurpose>(purpose: P, pem: string, secret: string) {
  const jwk = attempt(() => createPrivateKey({ key: pem, format: 'pem', passphrase: secret }).export({ format: 'jwk' }))
  return importPrivateKey(purpose, jwk)
}

/**
 * Imports a public JWK as a key of this purpose; undefined if it is not valid (including private members and points off the curve), or may
 * not have the purpose.
 */
export function verifyingKey<P extends KeyPurpose>(purpose: P, jwk: unknown): VerifyingKey<P> | undefined {
  const parsed = parsePublicJwk(jwk)
  if (parsed === undefined) return undefined
  const alg = algorithmOf(parsed)
  const kid = thumbprint(parsed)
  const half = algorithmAllowed(purpose, alg) ? publicHalf(kid, parsed) : undefined
  if (half === undefined) return undefined
  return {
    purpose,
    kid,
    alg,
    jwk: parsed,
    verify(data, signature) {
      if (signatures.has(kid, data, signature)) return true
      const isValid = verify(digest[alg], data, { key: half, dsaEncoding: 'ieee-p1363' }, signature)
      if (isValid) signatures.add(kid, data, signature)
      return isValid
    },
  }
}

/** `key.verify` in a thread of Node's pool, so that this thread can go on meanwhile. Never rejects. */
export function verifyAside(
  { kid, jwk, alg }: VerifyingKey,
  data: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const half = publicHalf(kid, jwk)
  if (half === undefined) return Promise.resolve(false)
  if (signatures.has(kid, data, signature)) return Promise.resolve(true)
  const key = { key: half, dsaEncoding: 'ieee-p1363' as const }
  return new Promise((resolve) => {
    verify(digest[alg], data, key, signature, (error, isValid) => {
      const isGood = error === null && isValid
      if (isGood) signatures.add(kid, data, signature)
      resolve(isGood)
    })
  })
}

/** The public half, for the same purpose. */
export function publicKeyOf<P extends KeyPurpose>(key: SigningKey<P>): VerifyingKey<P> {
  const open = verifyingKey(key.purpose, key.publicJwk)
  if (open === undefined) throw new ServiceError('invariant_broken', 'the key has no usable public half')
  return open
}

/** A JWK Set (RFC 7517 §5) for publication: public halves with `kid`, `alg`, `use`. */
export function jwkSet(keys: readonly VerifyingKey[]): {
  keys: (PublicJwk & { kid: string; alg: Algorithm; use: 'sig' })[]
} {
  return { keys: keys.map(({ jwk, kid, alg }) => ({ ...jwk, kid, alg, use: 'sig' })) }
}

const digest = { ES256: 'sha256', EdDSA: null } as const

/**
 * Parsing a key costs as much as a verification, and each call of an agent brings its key in the proof. Entries are named by the
 * thumbprint, which the parsed members determine, so an entry is correct or absent; the oldest goes first. Pure: a memo, not state.
 */
const publicHalves = new Map<string, KeyObject>()
const rememberedKeys = 4096

function publicHalf(kid: string, jwk: PublicJwk): KeyObject | undefined {
  const half = publicHalves.get(kid) ?? attempt(() => createPublicKey({ key: { ...jwk }, format: 'jwk' }))
  if (half === undefined) return undefined
  publicHalves.delete(kid)
  publicHalves.set(kid, half)
  if (publicHalves.size > rememberedKeys) publicHalves.delete(publicHalves.keys().next().value ?? kid)
  return half
}

/** node:crypto throws on an invalid key; here that is an answer. */
function attempt<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}
