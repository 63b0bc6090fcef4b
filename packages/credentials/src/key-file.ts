import { parseStrictJson } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import {
  decryptPrivateKey,
  encryptPrivateKey,
  exportPrivateKey,
  importPrivateKey,
  type KeyPurpose,
  type SigningKey,
} from './keys.ts'

/**
 * The text of a key file: `{ purpose, kid, encrypted }` with encrypted PKCS#8 in PEM; without a secret, `{ purpose, jwk }`, including the
 * private half.
 */
export function encodeKeyFile(key: SigningKey, secret?: string): string {
  const { purpose, kid } = key
  const file =
    secret === undefined
      ? { purpose, jwk: exportPrivateKey(key) }
      : { purpose, kid, encrypted: encryptPrivateKey(key, secret) }
  return `${JSON.stringify(file)}\n`
}

/**
 * Parses a key file that must hold a key of this purpose. Throws `config_invalid` if the secret opens no key in it, or if the key is in
 * plain text although there is a secret. Throws `key_purpose_wrong` if the key has another purpose: a service must not start with a
 * mixed-up key folder.
 */
export function decodeKeyFile<P extends KeyPurpose>(text: string, purpose: P, secret?: string): SigningKey<P> {
  const file = parse(text)
  if (file.purpose !== purpose) throw new ServiceError('key_purpose_wrong', `the key file is not a ${purpose} key's`)
  const key = openKey(file, purpose, secret)
  if (key === undefined) throw new ServiceError('config_invalid', `the ${purpose} key file holds no usable key`)
  return key
}

function openKey<P extends KeyPurpose>(file: KeyFile, purpose: P, secret?: string): SigningKey<P> | undefined {
  if (typeof file.encrypted !== 'string') {
    if (secret === undefined) return importPrivateKey(purpose, file.jwk)
    throw new ServiceError('config_invalid', `the ${purpose} key file is not encrypted, and there is a secret for it`)
  }
  if (secret === undefined)
    throw new ServiceError(
      'config_invalid',
      `the ${purpose} key file is encrypted: BAILIWICK_KEYS_SECRET_FILE is missing`,
    )
  const key = decryptPrivateKey(purpose, file.encrypted, secret)
  // CBC does not detect changes: a key other than the one stored here is refused.
  return key?.kid === file.kid ? key : undefined
}

interface KeyFile {
  purpose?: unknown
  jwk?: unknown
  kid?: unknown
  encrypted?: unknown
}

function parse(text: string): KeyFile {
  try {
    const value = parseStrictJson(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    // No cause: a parser's message may quote what it read.
    throw new ServiceError('config_invalid', 'the key file is not JSON')
  }
}
