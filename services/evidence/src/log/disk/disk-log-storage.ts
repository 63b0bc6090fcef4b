import { chmod } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  type DurableHandle,
  ensureDir,
  lockFile,
  readFileIfExists,
  replaceFile,
  syncDirectory,
  writeWhole,
} from '@bailiwick/kit'
import { parseTilePath, TILE_WIDTH, tilePath } from '@bailiwick/tlog'
import type { LogFile, LogStorage } from '../log-storage.ts'
import { discardBeyond, discardPartial, namesIn, outgrownIn } from './discard.ts'
import { headFile } from './head-file.ts'
import { journalIn } from './journal.ts'
import { type LogFs, systemLogFs } from './log-fs.ts'

export interface DiskLogStorageOptions {
  /** The log's own folder, which may be copied and given to anyone: it has the layout of C2SP tlog-tiles and nothing else. */
  log: string
  /** The folder of the lock, the journal and the tree head. It is outside `log`, so that a log replaced by a copy is noticed. */
  dir: string
  fs?: LogFs
}

/** How many files are written at once. Open files are scarce, and more of them do not make a disk sync faster. */
const filesAtOnce = 64
/** Evidence decides who may read the log. Other users of this machine must not bypass that, even if the data directory's mode allows it. */
const modes = { folder: 0o700, file: 0o600 }

/** A log on this machine's disk. One process at a time: a second one gets `log_locked`. */
export async function diskLogStorage({ log, dir, fs = systemLogFs }: DiskLogStorageOptions): Promise<LogStorage> {
  await ensureDir(dir, modes.folder, fs)
  // Earlier versions created this folder open to others, and the whole log below it as well.
  await chmod(dir, modes.folder)
  await ensureDir(log, modes.folder, fs)
  await syncDirectory(dirname(log), fs)
  const lock = lockFile(join(dir, 'log.lock'), 'log_locked')
  const head = headFile(join(dir, 'tree-head.json'), fs)
  const journal = journalIn(dir, fs)
  const checkpointPath = join(log, 'checkpoint')
  const hot = { ...fs, readFile: fs.readHot }
  /** The files of each level that were written last: they are read back, and they are the end of the tree. */
  const edge = new Map<string, Set<string>>()

  /** Folders that this process created and synced. A process that died may have created a folder without syncing it. */
  const folders = new Map<string, Promise<void>>([[log, Promise.resolve()]])

  function folderFor(folder: string): Promise<void> {
    const made =
      folders.get(folder) ??
      folderFor(dirname(folder))
        .then(() => ensureDir(folder, modes.folder, fs))
        .then(() => syncDirectory(dirname(folder), fs))
    folders.set(folder, made)
    return made
  }

  /** A partial tile is not read until a checkpoint has exactly its width, so it need not appear atomically. */
  async function createPartial(file: string, bytes: Uint8Array): Promise<DurableHandle> {
    const handle = await fs.open(file, 'w', modes.file)
    try {
      await writeWhole(handle, bytes)
    } catch (error) {
      await handle.close().catch(() => undefined)
      throw error
    }
    return handle
  }

  async function write(files: readonly LogFile[]): Promise<void> {
    for (const [level, of] of Map.groupBy(files, ({ path }) => levelOf(path)))
      edge.set(level, new Set(of.map(({ path }) => path)))
    const places = files.map(({ path, bytes }) => ({ bytes, file: placeOf(log, path), partial: isPartial(path) }))
    const touched = [...new Set(places.map(({ file }) => dirname(file)))]
    await allSettled(touched.map(folderFor))
    const whole = places.filter(({ partial }) => !partial)
    // A reader of an older checkpoint may look for the full tile, so it must be durable before it gets its name.
    for (let at = 0; at < whole.length; at += filesAtOnce)
      await allSettled(
        whole.slice(at, at + filesAtOnce).map(({ file, bytes }) => replaceFile(file, bytes, { mode: modes.file, fs })),
      )
    // At most one per level, since a batch has only one end.
    const open: DurableHandle[] = []
    try {
      await allSettled(
        places.map(async ({ file, bytes, partial }) => {
          if (partial) open.push(await createPartial(file, bytes))
        }),
      )
      await allSettled([...open.map((handle) => handle.sync()), ...touched.map((folder) => syncDirectory(folder, fs))])
    } finally {
      await Promise.all(open.map((handle) => handle.close().catch(() => undefined)))
    }
  }

  return {
    read: async (path) => readFileIfExists(placeOf(log, path), edge.get(levelOf(path))?.has(path) ? hot : fs),
    hasTiles: async () => (await namesIn(join(log, 'tile'), fs)).length > 0,
    enter: (record, size) => journal.append(record, size),
    readJournal: (size) => journal.read(size),
    write,
    discardBeyond: (size) => discardBeyond(log, size, fs),
    outgrown: (size) => outgrownIn(log, size, fs),
    discardPartial: (place) => discardPartial(join(log, `${tilePath({ ...place, width: TILE_WIDTH })}.p`), fs),
    readHead: () => head.read(),
    swapHead: (expected, next) => head.swap(expected, next),
    readCheckpoint: () => readFileIfExists(checkpointPath, fs),
    publishCheckpoint: (note) => replaceFile(checkpointPath, note, { mode: modes.file, fs }),
    async [Symbol.asyncDispose]() {
      await journal.close().finally(() => lock[Symbol.dispose]())
    },
  }
}

/** Rejects only once no write is under way any more, so that the writes of a call never outlive it. */
async function allSettled(writes: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(writes)).find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

/** The path comes from a URL, so only the name of a tile or bundle is accepted. */
function placeOf(log: string, path: string): string {
  if (parseTilePath(path) === undefined) throw new RangeError('not the path of a tile')
  return join(log, path)
}

const levelOf = (path: string): string => path.split('/', 2).join('/')

const isPartial = (path: string): boolean => (parseTilePath(path)?.width ?? 0) < TILE_WIDTH
