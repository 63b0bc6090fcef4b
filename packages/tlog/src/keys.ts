import { createPrivateKey, createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto'
import { decodeBase64, encodeBase64, hasControlCharacter } from './text.ts'

/**
 * What a key signs (C2SP signed-note, Signature types): `ED25519` a note's text, as logs do; `COSIGNATURE` a checkpoint
 * at a time, as witnesses do. The key id covers the type, so a key of one type never verifies signatures of the other (V12).
 */
export const SIGNATURE_TYPE = { ED25519: 0x01, COSIGNATURE: 0x04 } as const
export type SignatureType = (typeof SIGNATURE_TYPE)[keyof typeof SIGNATURE_TYPE]

/** A public key in the form of a vkey. Its name and id identify it in signature lines. */
export interface VerifierKey {
  readonly name: string
  /** uint32, derived from name, type and public key. */
  readonly keyId: number
  readonly type: SignatureType
  /** 32 bytes (RFC 8032). */
  readonly publicKey: Uint8Array
}

const ED25519_BYTES = 32
const SKEY_PREFIX = 'PRIVATE+KEY+'
// SubjectPublicKeyInfo and PKCS #8 of RFC 8410 up to the key itself.
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Whether a key may have this name: not empty, neither Unicode spaces nor plus (C2SP signed-note, Format). */
export function isKeyName(name: string): boolean {
  return name !== '' && name.isWellFormed() && !hasControlCharacter(name) && !/[\p{White_Space}+]/u.test(name)
}

/** SHA-256(name ‖ 0x0A ‖ type ‖ public key)[:4] as a big-endian uint32 (C2SP signed-note, Signatures). */
export function keyId(name: string, type: SignatureType, publicKey: Uint8Array): number {
  const input = Buffer.concat([Buffer.from(`${name}\n`), Uint8Array.of(type), publicKey])
  return hash('sha256', input, 'buffer').readUInt32BE(0)
}

/** Makes a verifier key. Throws RangeError for an invalid name, or a public key of another length. */
export function verifierKey(name: string, publicKey: Uint8Array, type: SignatureType): VerifierKey {
  if (!isKeyName(name)) throw new RangeError('no key may have this name')
  if (publicKey.length !== ED25519_BYTES) throw new RangeError('an Ed25519 public key has 32 bytes')
  return { name, keyId: keyId(name, type, publicKey), type, publicKey }
}

/** `<name>+<hex key id>+<base64(type ‖ public key)>`. */
export function encodeVkey(key: VerifierKey): string {
  return `${key.name}+${hexId(key.keyId)}+${encodeBase64(Buffer.concat([Uint8Array.of(key.type), key.publicKey]))}`
}

/**
 * How to display each of these keys: by its name, followed by the key id if several keys have that name, as while a witness moves from
 * one key to the next. A name alone does not identify a key (C2SP signed-note, Signatures).
 */
export function distinctName({ name, keyId }: VerifierKey, among: readonly VerifierKey[]): string {
  const isOnly = among.filter((key) => key.name === name).length < 2
  return isOnly ? name : `${name}+${hexId(keyId)}`
}

/** The key that a vkey encodes; undefined if it is malformed, of a type not listed here, or has the wrong id. */
export function parseVkey(vkey: string): VerifierKey | undefined {
  const parts = keyParts(vkey)
  if (parts === undefined) return undefined
  const key = verifierKey(parts.name, parts.material, parts.type)
  return hexId(key.keyId) === parts.id ? key : undefined
}

/**
 * A private key that signs for one name, as one type. The key itself stays inside: everything that is logged or serialised of this
 * object is public. Only `toSkey` returns it.
 */
export class SignerKey {
  readonly verifier: VerifierKey
  readonly #privateKey: KeyObject

  /** `seed`: the 32 random bytes of RFC 8032's private key. Throws RangeError as `verifierKey` does. */
  constructor(name: string, seed: Uint8Array, type: SignatureType) {
    if (seed.length !== ED25519_BYTES) throw new RangeError('an Ed25519 private key has 32 bytes')
    this.#privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' })
    const spki = createPublicKey(this.#privateKey).export({ format: 'der', type: 'spki' })
    this.verifier = verifierKey(name, spki.subarray(SPKI_PREFIX.length), type)
  }

  /** The raw Ed25519 signature, 64 bytes. `signNote` and `cosign` decide what to sign. */
  signRaw(message: Uint8Array): Uint8Array {
    return sign(null, message, this.#privateKey)
  }

  /** `PRIVATE+KEY+<name>+<hex key id>+<base64(type ‖ seed)>`, as in golang.org/x/mod/sumdb/note. A secret. */
  toSkey(): string {
    const seed = this.#privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(PKCS8_PREFIX.length)
    const { name, keyId, type } = this.verifier
    return `${SKEY_PREFIX}${name}+${hexId(keyId)}+${encodeBase64(Buffer.concat([Uint8Array.of(type), seed]))}`
  }
}

/** The key that an skey encodes; undefined if it is malformed, of a type not listed here, or has the wrong id. */
export function parseSkey(skey: string): SignerKey | undefined {
  const parts = skey.startsWith(SKEY_PREFIX) ? keyParts(skey.slice(SKEY_PREFIX.length)) : undefined
  if (parts === undefined) return undefined
  const key = new SignerKey(parts.name, parts.material, parts.type)
  return hexId(key.verifier.keyId) === parts.id ? key : undefined
}

/** Whether this key made this Ed25519 signature over these bytes. Never throws. */
export function verifyRaw(key: VerifierKey, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    const spki = Buffer.concat([SPKI_PREFIX, key.publicKey])
    return verify(null, message, createPublicKey({ key: spki, format: 'der', type: 'spki' }), signature)
  } catch {
    return false
  }
}

/** The id as in a key's text: 8 lower-case hex digits. */
function hexId(id: number): string {
  return id.toString(16).padStart(8, '0')
}

/** Splits `<name>+<id>+<base64(type ‖ material)>`. The base64 may contain a plus; the name may not. */
function keyParts(text: string) {
  const [, name, id, base64] = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/su.exec(text) ?? []
  const bytes = base64 === undefined ? undefined : decodeBase64(base64)
  if (name === undefined || !isKeyName(name) || bytes?.length !== 1 + ED25519_BYTES) return undefined
  const type = Object.values(SIGNATURE_TYPE).find((known) => known === bytes[0])
  return type === undefined ? undefined : { name, id, type, material: bytes.subarray(1) }
}
