import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { ServiceError } from '@bailiwick/errors'

export interface SecretFileOptions {
  /** The setting that names the file; absent: the file is one of ours. */
  setting?: string
}

/**
 * The bytes of a file that holds a secret. Throws `config_invalid`, with the remedy and without what stands in the file, when it cannot be read or
 * others may read it: then take the secret for known. A file is its owner's alone (0600 or 0400). One that a setting names may also be another
 * user's and readable by the group through which this process reads it (0440): that is how an orchestrator mounts a secret for a process
 * that is not root.
 */
export function readSecretFile(path: string, { setting }: SecretFileOptions = {}): Buffer {
  const refuse = (why: string) =>
    new ServiceError('config_invalid', setting === undefined ? `${path} ${why}` : `${setting}: ${path} ${why}`)
  let file: number
  try {
    // Judged once it is open: what the name leads to may change, and a link is as open as the file behind it.
    file = openSync(path, constants.O_RDONLY)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw refuse(code === 'ENOENT' && setting === undefined ? 'is missing' : `cannot be read (${code})`)
  }
  try {
    const { mode, uid } = fstatSync(file)
    const mounted = setting !== undefined && uid !== process.geteuid?.()
    if ((mode & (mounted ? 0o137 : 0o177)) !== 0)
      throw refuse(`is open to others: its mode must be 0600, not 0${(mode & 0o777).toString(8)}`)
    return readFileSync(file)
  } catch (error) {
    if (error instanceof ServiceError) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw refuse(`cannot be read (${code})`)
  } finally {
    closeSync(file)
  }
}
