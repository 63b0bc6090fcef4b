import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { readSecretFile } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { TlsSetting } from '../settings/setting-values.ts'
import type { Tls } from './listener.ts'

/** Reads the certificate and its key. Throws `config_invalid`. */
export function readTls(tls: TlsSetting): Tls {
  if (tls === 'none') return undefined
  if (tls === 'terminated') return tls
  const files = {
    certificate: readPem(tls.certificateFile),
    key: readSecretFile(tls.keyFile, { setting: 'BAILIWICK_TLS' }),
  }
  try {
    createSecureContext({ cert: files.certificate, key: files.key })
  } catch {
    // Without a cause: OpenSSL's messages may quote what they read.
    throw new ServiceError('config_invalid', 'BAILIWICK_TLS: the files are not a certificate and its private key')
  }
  return files
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new ServiceError(
      'config_invalid',
      `BAILIWICK_TLS: ${path} cannot be read (${error instanceof Error && 'code' in error ? error.code : 'unknown'})`,
    )
  }
}
