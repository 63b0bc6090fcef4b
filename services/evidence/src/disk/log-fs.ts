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
import { type DurableFs, systemFs } from '@bailiwick/service-kit'

/** What the log does with a file system beyond writing files: a test can break any of it. */
export interface LogFs extends DurableFs {
  /** As `readFile`, of what was written a moment ago: it is in memory. */
  readHot(path: string): Promise<Uint8Array>
  readdir(path: string): Promise<string[]>
  /** Removes an empty directory. */
  rmdir(path: string): Promise<void>
}

const flush = { all: promisify(fsync), data: promisify(fdatasync) }

/**
 * The machine's file system, for whoever syncs many small files: what waits for the disk (flushes, reads, removals) goes to
 * other threads. The rest ends in memory, sooner than a thread is woken.
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
