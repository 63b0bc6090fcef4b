import { decodeBase64url, sha256 } from './base64url.ts'

/**
 * Text that people and agents wrote themselves, with 16 random bytes (base64url): without them, a short text could be guessed from its
 * hash.
 */
export interface SaltedText {
  salt: string
  text: string
}

/**
 * Represents a text in events and signatures: SHA-256 of the salt's 16 bytes, then the text in UTF-8 (DESIGN §4). undefined if the salt is
 * not valid: then nothing was committed to.
 */
export function saltedHash({ salt, text }: SaltedText): string | undefined {
  const bytes = decodeBase64url(salt)
  return bytes?.length === 16 ? sha256(Buffer.concat([bytes, Buffer.from(text)])) : undefined
}
