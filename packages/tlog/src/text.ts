/**
 * Decodes standard base64 (RFC 4648 §4) in its one canonical spelling, else returns undefined. `Buffer.from` skips unknown characters
 * and ignores unused bits, so without this an adversary could spell one signed thing in many ways.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
}

/** ASCII decimal without leading zeroes, as tree sizes and indexes are written; undefined beyond 2^53 - 1. */
export function decodeDecimal(text: string): number | undefined {
  const value = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : undefined
  return Number.isSafeInteger(value) ? value : undefined
}

/** Whether a text has an ASCII control character other than newline, which no note may have (C2SP signed-note). */
export function hasControlCharacter(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < 0x20 && code !== 0x0a) return true
  }
  return false
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Decodes these bytes as UTF-8, including a byte order mark; undefined if they are not well-formed. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}
