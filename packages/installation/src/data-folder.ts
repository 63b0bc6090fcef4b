import { mkdtempSync, rmdirSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { ServiceError } from '@bailiwick/errors'

/**
 * Refuses (`config_invalid`) a data directory that cannot be used: a file, or a folder in which nothing can be created. If it does not
 * exist yet, the nearest existing folder above it must permit creating it. Leaves nothing behind.
 */
export function assertDataUsable(data: string): void {
  let folder = resolve(data)
  try {
    let there = statSync(folder, { throwIfNoEntry: false })
    while (there === undefined && folder !== dirname(folder)) {
      folder = dirname(folder)
      there = statSync(folder, { throwIfNoEntry: false })
    }
    if (!there?.isDirectory()) refuse(data, `${folder} is not a folder`)
    // Tries it instead of asking: access(2) does not notice a full disk, and mkdir -p never returns from below /proc.
    rmdirSync(mkdtempSync(join(folder, '.bailiwick-')))
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (code === 'config_invalid') throw error
    refuse(data, `nothing can be made in ${folder}: ${reasons[code] ?? code}`)
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'this user may not (EACCES)',
  EPERM: 'the system does not allow it (EPERM)',
  EROFS: 'it is read-only (EROFS)',
  ENOSPC: 'the disk is full (ENOSPC)',
  EDQUOT: "this user's quota is used up (EDQUOT)",
  ENOENT: 'it takes no folders (ENOENT)',
}

function refuse(data: string, why: string): never {
  throw new ServiceError('config_invalid', `BAILIWICK_DATA: ${data}: ${why}`)
}
