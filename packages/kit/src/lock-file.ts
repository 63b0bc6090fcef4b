import { type ErrorCode, ServiceError } from '@bailiwick/errors'

const SQLITE_BUSY = 5

/**
 * Takes a file for this process only, or throws ServiceError(`code`) with the path as its detail. It uses SQLite's exclusive lock, because
 * Node.js offers no lock of its own. The operating system ends that lock with the process, however it dies, so a restart after SIGKILL
 * succeeds at once. It holds between containers that share the directory. It compares no process ids, which another namespace or a later
 * process may reuse. The file stays empty. Needs Node.js 22.13 or later, else throws `config_invalid`.
 */
export function lockFile(file: string, code: ErrorCode): Disposable {
  const { DatabaseSync } = sqlite(file)
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

/** Loaded only by a process that locks: Node.js 20, which an agent or an enforcement point may run on, has no SQLite. */
function sqlite(file: string) {
  const found = process.getBuiltinModule('node:sqlite')
  if (found !== undefined) return found
  throw new ServiceError('config_invalid', `${file}: locking a file needs Node.js 22.13 or later`)
}
