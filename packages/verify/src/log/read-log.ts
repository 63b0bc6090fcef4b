import { type LogReport, type VerifyOptions, verifyLog } from './verify-log.ts'

/** An entry of a log, proved to be in its tree. */
export interface LogEntry {
  readonly index: number
  /** The caller may keep them. */
  readonly bytes: Uint8Array
}

/**
 * Reads a log from its first entry to its last. `take` gets each entry once it is proved, and is awaited. The entries before a fault are
 * taken too: only the report says that the log is whole.
 */
export function readLog(
  options: Omit<VerifyOptions, 'onEntry'>,
  take: (entry: LogEntry) => void | Promise<void>,
): Promise<LogReport> {
  return verifyLog({ ...options, onEntry: (index, entry) => take({ index, bytes: Uint8Array.from(entry) }) })
}
