import { hashes, verify as verifyEd25519 } from '@noble/ed25519'
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { Buffer } from 'buffer'

// The parts of `node:crypto` that packages/tlog uses, for a browser: vite.config.ts substitutes this file. The
// browser's own WebCrypto is asynchronous, and tlog's verifiers are synchronous.

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

/** RFC 8032 §5.1.7 to the letter, as in Node: a point must be in its one canonical encoding. */
export function verify(_: null, message: Uint8Array, key: Uint8Array, signature: Uint8Array): boolean {
  return verifyEd25519(signature, message, key, { zip215: false })
}

const never = (): never => {
  throw new Error('nothing is signed in a page')
}
export const createPrivateKey = never
export const sign = never
