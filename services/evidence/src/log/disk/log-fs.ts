import {
  closeSync,
  fdatasync,
  fsync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  writeSync,
} from 'node:fs'
import { promisify } from 'node:util'
import { type DurableFs, systemFs } from '@bailiwick/kit'

/** The file system calls of the log, beyond writing files. A test can make any of them fail. */
export interface LogFs extends DurableFs {
  /** Like `readFile`, for a file that was written a moment ago and is still in memory. */
  readHot(path: string): Promise<Uint8Array>
  readdir(path: string): Promise<string[]>
  /** Removes an empty directory. */
  rmdir(path: string): Promise<void>
}

const flush = { all: promisify(fsync), data: promisify(fdatasync) }

/**
 * The machine's file system, for code that syncs many small files. Calls that wait for the disk (flushes, reads, removals) run on other
 * threads. All other calls finish in memory, sooner than a thread could be woken.
 */
export const systemLogFs: LogFs = {
  readFile: systemFs.readFile,
  readHot: async (path) => readFileSync(path),
  async open(path, flags, mode) {
    const file = openSync(path, flags, mode)
    return {
      write: async (bytes, offset, length, position) => ({
        bytesWritten: writeSync(file, bytes, offset, length, position ?? null),
      }),
      sync: () => flush.all(file),
      datasync: () => flush.data(file),
      close: async () => closeSync(file),
    }
  },
  rename: async (from, to) => renameSync(from, to),
  unlink: systemFs.unlink,
  mkdir: async (path, options) => mkdirSync(path, options),
  readdir: async (path) => readdirSync(path),
  rmdir: async (path) => rmdirSync(path),
}
