import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { ServiceError } from '@bailiwick/errors'

export interface SecretFileOptions {
  /** The setting that names the file; absent: the file is one of our own. */
  setting?: string
}

/**
 * Reads a file that holds a secret. Throws `config_invalid`, with the remedy and without the file's content, if it cannot be read or others
 * may read it: then treat the secret as known. Only the owner may have access (0600 or 0400). A file that a setting names may also belong
 * to another user and be readable by the group of this process (0440): that is how an orchestrator mounts a secret for a process that is
 * not root.
 */
export function readSecretFile(path: string, { setting }: SecretFileOptions = {}): Buffer {
  const refuse = (why: string) =>
    new ServiceError('config_invalid', setting === undefined ? `${path} ${why}` : `${setting}: ${path} ${why}`)
  let file: number
  try {
    // Checked once it is open: the file behind the name may change, and a link is as open as the file behind it.
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
