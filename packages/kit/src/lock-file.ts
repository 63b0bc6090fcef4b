import { DatabaseSync } from 'node:sqlite'
import { type ErrorCode, ServiceError } from '@bailiwick/errors'

const SQLITE_BUSY = 5

/**
 * Takes a file for this process only, or throws ServiceError(`code`). As in the embedded bus: the operating system ends
 * SQLite's exclusive lock with the process, however it dies. No process ids are compared, because they may be reused.
 */
export function lockFile(file: string, code: ErrorCode): Disposable {
  const lock = new DatabaseSync(file, { timeout: 0 })
  try {
    lock.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    lock.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY)
      throw new ServiceError(code, file, { cause: error })
    throw error
  }
  return { [Symbol.dispose]: () => lock.close() }
}
