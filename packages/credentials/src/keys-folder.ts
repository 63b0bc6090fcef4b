import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import { decodeKeyFile, encodeKeyFile } from './key-file.ts'
import type { KeyPurpose, SigningKey } from './keys.ts'

/** Where `name`'s key stands in the folder. Throws `config_invalid` for a name that could leave it. */
export function keyFilePath(folder: string, name: string): string {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name)) throw new ServiceError('config_invalid', 'not the name of a key file')
  return join(folder, `${name}.json`)
}

/**
 * Writes a key file, 0600, in a folder that is made 0700 if it is missing. Durable when it returns. Throws `config_invalid`
 * if the file is there already: a key that is overwritten is lost, and with it all that it certified.
 */
export function writeKeyFile(folder: string, name: string, key: SigningKey): void {
  const path = keyFilePath(folder, name)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const whole = `${path}.new`
  rmSync(whole, { force: true })
  withFile(whole, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, (file) => {
    writeFileSync(file, encodeKeyFile(key))
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
export function readKeyFile<P extends KeyPurpose>(folder: string, name: string, purpose: P): SigningKey<P> {
  const path = keyFilePath(folder, name)
  const text = withFile(path, constants.O_RDONLY, (file) => {
    const { mode } = fstatSync(file)
    if ((mode & 0o177) !== 0)
      throw new ServiceError('config_invalid', `${path} is open to others: its mode must be 0600`)
    return readFileSync(file, 'utf8')
  })
  return decodeKeyFile(text, purpose)
}

function withFile<T>(path: string, flags: number, use: (file: number) => T): T {
  const file = open(path, flags)
  try {
    return use(file)
  } finally {
    closeSync(file)
  }
}

function open(path: string, flags: number): number {
  try {
    return openSync(path, flags, 0o600)
  } catch (cause) {
    if (codeOf(cause) !== 'ENOENT') throw cause
    throw new ServiceError('config_invalid', `${path} is missing`)
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}
