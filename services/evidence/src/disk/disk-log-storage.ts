import { dirname, join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import {
  type DurableFs,
  ensureDir,
  lockFile,
  readFileIfExists,
  systemFs,
  writeFileDurably,
} from '@bailiwick/service-kit'
import { parseTilePath } from '@bailiwick/tlog'
import type { LogFile, LogStorage } from '../log-storage.ts'
import { discardBeyond } from './discard-beyond.ts'

export interface DiskLogStorageOptions {
  /** The log's own folder, which anybody may be given: C2SP tlog-tiles' layout and nothing else. */
  log: string
  /** Keeps the lock and the tree head: outside `log`, so that a copy of the log put in its place is noticed. */
  dir: string
  fs?: DurableFs
}

/** Open files are scarce, and one disk syncs no faster for more of them. */
const writesAtOnce = 32
/** The log holds nothing that its readers may not see; who may enter the folder is the data directory's to say. */
const readable = { mode: 0o644 }

/** A log on this machine's disk. One process at a time: a second one gets `log_locked`. */
export async function diskLogStorage({ log, dir, fs = systemFs }: DiskLogStorageOptions): Promise<LogStorage> {
  await ensureDir(dir, 0o700, fs)
  await ensureDir(log, 0o755, fs)
  const lock = lockFile(join(dir, 'log.lock'), 'log_locked')
  const headPath = join(dir, 'tree-head.json')
  const checkpointPath = join(log, 'checkpoint')
  const folders = new Set<string>()

  async function write({ path, bytes }: LogFile): Promise<void> {
    const file = placeOf(log, path)
    const folder = dirname(file)
    if (!folders.has(folder)) {
      await ensureDir(folder, 0o755, fs)
      folders.add(folder)
    }
    await writeFileDurably(file, bytes, { ...readable, fs })
  }

  return {
    read: async (path) => readFileIfExists(placeOf(log, path), fs),
    async write(files) {
      for (let at = 0; at < files.length; at += writesAtOnce)
        await allSettled(files.slice(at, at + writesAtOnce).map(write))
    },
    discardBeyond: (size) => discardBeyond(log, size),
    readHead: () => readFileIfExists(headPath, fs),
    async swapHead(expected, next) {
      const there = await readFileIfExists(headPath, fs)
      if (!sameBytes(there, expected))
        throw new ServiceError('log_locked', 'the tree head is not the one that was read')
      await writeFileDurably(headPath, next, { fs })
    },
    readCheckpoint: () => readFileIfExists(checkpointPath, fs),
    publishCheckpoint: (note) => writeFileDurably(checkpointPath, note, { ...readable, fs }),
    async [Symbol.asyncDispose]() {
      lock[Symbol.dispose]()
    },
  }
}

/** Rejects only when nothing is under way any more, so that no write of a call outlives it. */
async function allSettled(writes: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(writes)).find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

/** A path comes from a URL: only what names a tile leads anywhere. */
function placeOf(log: string, path: string): string {
  if (parseTilePath(path) === undefined) throw new RangeError('not the path of a tile')
  return join(log, path)
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0
}
