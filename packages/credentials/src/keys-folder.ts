import { closeSync, constants, fsyncSync, linkSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import { decodeKeyFile, encodeKeyFile } from './key-file.ts'
import type { KeyPurpose, SigningKey } from './keys.ts'
import { readSecretFile } from './secret-file.ts'

/** Where `name`'s key stands in the folder. Throws `config_invalid` for a name that could leave it. */
export function keyFilePath(folder: string, name: string): string {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name)) throw new ServiceError('config_invalid', 'not the name of a key file')
  return join(folder, `${name}.json`)
}

/**
 * Writes a key file, 0600, in a folder that is made 0700 if it is missing. Durable when it returns. Throws `config_invalid`
 * if the file is there already: a key that is overwritten is lost, and with it all that it certified. Encrypted, where there
 * is a secret.
 */
export function writeKeyFile(folder: string, name: string, key: SigningKey, secret?: string): void {
  const path = keyFilePath(folder, name)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const whole = `${path}.new`
  rmSync(whole, { force: true })
  withFile(whole, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, (file) => {
    writeFileSync(file, encodeKeyFile(key, secret))
    fsyncSync(file)
  })
  try {
    // A link, not a rename: it fails where a key stands, and a crash leaves no half of one under its name.
    linkSync(whole, path)
  } catch (cause) {
    if (codeOf(cause) !== 'EEXIST') throw cause
    throw new ServiceError('config_invalid', `there is a key file ${path} already`)
  } finally {
    rmSync(whole, { force: true })
  }
  withFile(folder, constants.O_RDONLY, fsyncSync)
}

/**
 * Reads the key of this purpose. Throws `config_invalid` when there is none, or when its mode lets anybody but its owner
 * read it (then take it for stolen), and `key_purpose_wrong` for another purpose's.
 */
export function readKeyFile<P extends KeyPurpose>(
  folder: string,
  name: string,
  purpose: P,
  secret?: string,
): SigningKey<P> {
  return decodeKeyFile(readSecretFile(keyFilePath(folder, name)).toString(), purpose, secret)
}

/** The secret that key files are encrypted with, a passphrase or random: the file's text, without the end of its line. */
export function readKeysSecret(path: string): string {
  const secret = readSecretFile(path, { setting: 'BAILIWICK_KEYS_SECRET_FILE' }).toString().trim()
  // PBES2 as node:crypto makes it counts to 2,048 only: what a person can remember would soon be guessed.
  if (secret.length < shortestSecret)
    throw new ServiceError('config_invalid', `${path}: the secret has fewer than ${shortestSecret} characters`)
  return secret
}

const shortestSecret = 32

function withFile<T>(path: string, flags: number, use: (file: number) => T): T {
  const file = openSync(path, flags, 0o600)
  try {
    return use(file)
  } finally {
    closeSync(file)
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}
