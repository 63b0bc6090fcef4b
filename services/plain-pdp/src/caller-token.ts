import { createHash, timingSafeEqual } from 'node:crypto'
import { readSecretFile } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'

/** The bearer token in a file, without the line feed at its end. Throws `config_invalid`. */
export function readCallerToken(file: string): string {
  const token = readSecretFile(file, { setting: 'BAILIWICK_CALLER_TOKEN_FILE' })
    .toString()
    .replace(/\r?\n$/, '')
  // RFC 6750 §2.1
  if (/^[A-Za-z0-9._~+/-]{16,4096}=*$/.test(token)) return token
  throw new ServiceError(
    'config_invalid',
    `BAILIWICK_CALLER_TOKEN_FILE: ${file} holds no token of at least 16 characters`,
  )
}

/** Compares in a time that does not depend on how much of the token is right. */
export function isBearer(authorization: string | undefined, token: string): boolean {
  const given = /^Bearer +(.+)$/i.exec(authorization ?? '')?.[1]
  return given !== undefined && timingSafeEqual(hash(given), hash(token))
}

const hash = (text: string) => createHash('sha256').update(text).digest()
