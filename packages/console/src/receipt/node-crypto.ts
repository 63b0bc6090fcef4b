import { hashes, verify as verifyEd25519 } from '@noble/ed25519'
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { Buffer } from 'buffer'

// What packages/tlog asks of `node:crypto`, where there is none: vite.config.ts puts this in its place. The browser's own
// WebCrypto answers later, and tlog's verifiers answer at once.

hashes.sha512 = sha512

export function hash(algorithm: string, data: Uint8Array | string, _encoding: 'buffer'): Uint8Array {
  if (algorithm !== 'sha256') throw new RangeError(`no ${algorithm} here`)
  return Buffer.from(sha256(typeof data === 'string' ? Buffer.from(data) : data))
}

/** Bytes of an Ed25519 SubjectPublicKeyInfo (RFC 8410) before the key. */
const spkiPrefix = 12

export function createPublicKey({ key }: { key: Uint8Array }): Uint8Array {
  return key.subarray(spkiPrefix)
}

/** RFC 8032 §5.1.7 to the letter, as Node's: no point that is not in its one canonical spelling. */
export function verify(_: null, message: Uint8Array, key: Uint8Array, signature: Uint8Array): boolean {
  return verifyEd25519(signature, message, key, { zip215: false })
}

const never = (): never => {
  throw new Error('nothing is signed in a page')
}
export const createPrivateKey = never
export const sign = never
