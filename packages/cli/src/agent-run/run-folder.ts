import { mkdtempSync, realpathSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'

/**
 * Makes a folder for a run, which only this user can enter. Throws `config_invalid` if this command is root, and another user could put a folder
 * of their own in its place: what root then does in it would be done to the files that the other user chose.
 */
export function makeRunFolder(prefix: string): string {
  const parent = realpathSync(tmpdir())
  if (process.getuid?.() === 0) mustBeRoots(parent)
  return mkdtempSync(join(parent, prefix))
}

function mustBeRoots(folder: string): void {
  const { uid, mode } = statSync(folder)
  const isSticky = (mode & 0o1000) !== 0
  if (uid !== 0 || ((mode & 0o022) !== 0 && !isSticky))
    throw new ServiceError('config_invalid', `TMPDIR: other users than root can move what is in ${folder}`)
  if (dirname(folder) !== folder) mustBeRoots(dirname(folder))
}
