import { parseStrictJson } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { exportPrivateKey, importPrivateKey, type KeyPurpose, type SigningKey } from './keys.ts'

/** The text of a key file: `{ purpose, jwk }`, the private half included. */
export function encodeKeyFile(key: SigningKey): string {
  return `${JSON.stringify({ purpose: key.purpose, jwk: exportPrivateKey(key) })}\n`
}

/**
 * Reads the text of a key file that must hold a key of this purpose. Throws `config_invalid` when it holds none, and
 * `key_purpose_wrong` when it holds another's: a key folder that was mixed up must not start a service.
 */
export function decodeKeyFile<P extends KeyPurpose>(text: string, purpose: P): SigningKey<P> {
  const file = parse(text)
  if (file.purpose !== purpose) throw new ServiceError('key_purpose_wrong', `the key file is not a ${purpose} key's`)
  const key = importPrivateKey(purpose, file.jwk)
  if (key === undefined) throw new ServiceError('config_invalid', `the ${purpose} key file holds no usable key`)
  return key
}

function parse(text: string): { purpose?: unknown; jwk?: unknown } {
  try {
    const value = parseStrictJson(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    // No cause: a parser's message may quote what it read.
    throw new ServiceError('config_invalid', 'the key file is not JSON')
  }
}
