import { hkdfSync, randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import { decodeKeyFile, encodeKeyFile } from './key-file.ts'
import type { KeyPurpose, SigningKey } from './keys.ts'
import { readSecretFile } from './secret-file.ts'

/** The path of `name`'s key in the folder. Throws `config_invalid` for a name that could leave the folder. */
export function keyFilePath(folder: string, name: string): string {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name)) throw new ServiceError('config_invalid', 'not the name of a key file')
  return join(folder, `${name}.json`)
}

/**
 * Writes a key file, 0600, encrypted if there is a secret. A missing folder is made, 0700. Durable when it returns. Throws `config_invalid`
 * if the file exists: an overwritten key is lost, and with it everything that it certified.
 */
export function writeKeyFile(folder: string, name: string, key: SigningKey, secret?: string): void {
  writeNewFile(folder, keyFilePath(folder, name), encodeKeyFile(key, secret))
}

function writeNewFile(folder: string, path: string, text: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const whole = `${path}.new`
  rmSync(whole, { force: true })
  withFile(whole, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, (file) => {
    writeFileSync(file, text)
    fsyncSync(file)
  })
  try {
    // A link, not a rename: it fails if a key exists there, and after a crash no half-written key has the name.
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
 * Reads the key of this purpose. Throws `config_invalid` if there is none, or if its mode lets anyone but its owner read it (then treat it
 * as stolen). Throws `key_purpose_wrong` for a key of another purpose.
 */
export function readKeyFile<P extends KeyPurpose>(
  folder: string,
  name: string,
  purpose: P,
  secret?: string,
): SigningKey<P> {
  return decodeKeyFile(readSecretFile(keyFilePath(folder, name)).toString(), purpose, secret)
}

/**
 * The key with which a service authenticates the snapshots of its own state, from its key folder; made at the first call. It is of use to
 * no one else. With a secret, the key in the file alone is not enough. Throws `config_invalid` as `readKeyFile` does, and the file system's
 * error if none can be made.
 */
export function openSnapshotKey(folder: string, secret?: string): Uint8Array {
  const path = keyFilePath(folder, 'snapshot')
  if (!existsSync(path)) writeSnapshotKey(folder, path)
  const text = readSecretFile(path).toString().trim()
  const key = Buffer.from(text, 'base64url')
  if (key.length !== snapshotKeyBytes || key.toString('base64url') !== text)
    throw new ServiceError('config_invalid', `${path} holds no key of snapshots`)
  return new Uint8Array(hkdfSync('sha256', key, secret ?? '', 'bailiwick snapshot', snapshotKeyBytes))
}

const snapshotKeyBytes = 32

function writeSnapshotKey(folder: string, path: string): void {
  try {
    writeNewFile(folder, path, `${randomBytes(snapshotKeyBytes).toString('base64url')}\n`)
  } catch (error) {
    // Another process of this service was first.
    if (!existsSync(path)) throw error
  }
}

/** The secret with which key files are encrypted, a passphrase or random: the file's text without its line ending. */
export function readKeysSecret(path: string): string {
  const secret = readSecretFile(path, { setting: 'BAILIWICK_KEYS_SECRET_FILE' }).toString().trim()
  // node:crypto's PBES2 uses only 2,048 iterations: a memorable secret would soon be guessed.
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
