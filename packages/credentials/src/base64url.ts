import { hash } from 'node:crypto'

/** base64url without padding (RFC 7515 §2). A string stands for its UTF-8 bytes. */
export function encodeBase64url(data: Uint8Array | string): string {
  const bytes =
    typeof data === 'string' ? Buffer.from(data) : Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  return bytes.toString('base64url')
}

/**
 * Strict inverse of `encodeBase64url`; undefined for every other spelling: white space, padding, the other alphabet, unused bits that are
 * set. A lax decoder would give one token many texts, and each would be new to a replay memory.
 */
export function decodeBase64url(text: string): Uint8Array | undefined {
  if (typeof text !== 'string') return undefined
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

/** base64url of the SHA-256 of the bytes, or of the string's UTF-8: 43 characters. All hashes are written in this form. */
export function sha256(data: Uint8Array | string): string {
  return hash('sha256', data, 'base64url')
}
