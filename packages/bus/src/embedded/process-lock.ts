import { DatabaseSync } from 'node:sqlite'
import { ServiceError } from '@bailiwick/errors'

const SQLITE_BUSY = 5

/**
 * Takes a file for this process only, or throws `bus_locked`. It uses SQLite's exclusive lock. The operating system
 * ends that lock with the process, however it dies, so a restart after SIGKILL succeeds at once. It holds between
 * containers that share the directory. It compares no process ids, which another namespace or a later process may
 * reuse. Node offers no lock of its own. The file stays empty.
 */
export function lockProcess(file: string): Disposable {
  const lock = new DatabaseSync(file, { timeout: 0 })
  try {
    lock.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    lock.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) {
      throw new ServiceError('bus_locked', file, { cause: error })
    }
    throw error
  }
  return { [Symbol.dispose]: () => lock.close() }
}
