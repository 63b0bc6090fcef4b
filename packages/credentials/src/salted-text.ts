import { decodeBase64url, sha256 } from './base64url.ts'

/** What people and agents wrote in their own words, with 16 random bytes (base64url): few words could be guessed from their hash. */
export interface SaltedText {
  salt: string
  text: string
}

/**
 * What stands for a text in events and signatures: SHA-256 of the salt's 16 bytes, then the text in UTF-8 (DESIGN §4). undefined
 * when the salt is none: then nothing was committed to.
 */
export function saltedHash({ salt, text }: SaltedText): string | undefined {
  const bytes = decodeBase64url(salt)
  return bytes?.length === 16 ? sha256(Buffer.concat([bytes, Buffer.from(text)])) : undefined
}
