import { mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join, parse, resolve } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import { type RandomSource, systemRandom } from './random.ts'

/** The part of an open file that durability needs. */
export interface DurableHandle {
  /** May write fewer bytes than asked, as a disk that fills up does before it reports ENOSPC. Writes at `position`, else at the end. */
  write(bytes: Uint8Array, offset: number, length: number, position?: number): Promise<{ bytesWritten: number }>
  sync(): Promise<void>
  /** Like `sync`, but without the file's times: overwriting existing bytes then needs no update of the folder's records. */
  datasync(): Promise<void>
  close(): Promise<void>
}

/** The part of node:fs/promises that is used, so that a test can break any of it. */
export interface DurableFs {
  open(path: string, flags: string, mode?: number): Promise<DurableHandle>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  mkdir(path: string, options: { mode: number }): Promise<unknown>
  readFile(path: string): Promise<Uint8Array>
}

/** The machine's file system. */
export const systemFs: DurableFs = { open, rename, unlink, mkdir, readFile }

export interface WriteOptions {
  /** Permissions of the new file, less the process's umask. Default: 0600. */
  mode?: number
  fs?: DurableFs
  random?: RandomSource
}

/**
 * Puts `bytes` at `path` so that a reader, even after a crash at any moment, finds either all of the old content or all of the
 * new. Resolves once the new content survives a power cut. If it rejects with an error of the file system, nothing changed. If it
 * rejects with `outcome_unknown`, the new content is there but may not last. Of two writers of one path, the last wins.
 */
export async function writeFileDurably(path: string, bytes: FileContent, options: WriteOptions = {}): Promise<void> {
  await replaceFile(path, bytes, options)
  await syncDirectory(dirname(path), options.fs)
}

/** The whole content, or its parts in turn, each of which is written before the next one is asked for. */
type FileContent = Uint8Array | AsyncIterable<Uint8Array>

/**
 * `writeFileDurably` without its last step. A reader finds all of the old content or all of the new, but until `syncDirectory`
 * of the folder a power cut may bring the old content back. If it rejects, nothing changed.
 */
export async function replaceFile(path: string, bytes: FileContent, options: WriteOptions = {}): Promise<void> {
  const { mode = 0o600, fs = systemFs, random = systemRandom } = options
  // In the target's folder, because a rename cannot cross file systems. The random name is one that no attacker can have put a link at.
  const temporary = join(dirname(path), `.${basename(path)}.${Buffer.from(random(8)).toString('hex')}.tmp`)
  try {
    await writeNew(temporary, bytes, mode, fs)
    await fs.rename(temporary, path)
  } catch (error) {
    await fs.unlink(temporary).catch(() => undefined) // a file that a crash leaves behind is never read either
    throw error
  }
}

/**
 * Removes what processes that were killed while they replaced this file left beside it. A process that is replacing it now fails, and
 * changes nothing.
 */
export async function removeUnfinished(path: string): Promise<void> {
  const [folder, begin] = [dirname(path), `.${basename(path)}.`]
  const names = await readdir(folder).catch((error) => {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  })
  for (const name of names)
    if (name.startsWith(begin) && /^[0-9a-f]{16}\.tmp$/.test(name.slice(begin.length)))
      await unlink(join(folder, name)).catch(() => undefined) // another process was first
}

async function writeNew(path: string, bytes: FileContent, mode: number, fs: DurableFs): Promise<void> {
  const file = await fs.open(path, 'wx', mode)
  try {
    if (bytes instanceof Uint8Array) await writeWhole(file, bytes)
    else for await (const part of bytes) await writeWhole(file, part)
    // Never repeated: after a failed fsync the kernel may have dropped the pages, and a second fsync would then succeed.
    await file.sync()
  } catch (error) {
    await file.close().catch(() => undefined)
    throw error
  }
  await file.close()
}

/** Writes every byte, at `position` if given, else at the end. Nothing is durable yet. */
export async function writeWhole(file: DurableHandle, bytes: Uint8Array, position?: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const at = position === undefined ? [] : ([position + written] as const)
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, ...at)
    if (bytesWritten <= 0) throw new Error('the file system took nothing of a write')
    written += bytesWritten
  }
}

/** Makes the names in a directory durable. Rejects with `outcome_unknown`. */
export async function syncDirectory(path: string, fs: DurableFs = systemFs): Promise<void> {
  try {
    const directory = await fs.open(path, 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  } catch (error) {
    throw new ServiceError('outcome_unknown', basename(path), { cause: error })
  }
}

/** The bytes of the file, or undefined if it does not exist. Throws every other failure as the file system reports it. */
export async function readFileIfExists(path: string, fs: DurableFs = systemFs): Promise<Uint8Array | undefined> {
  try {
    return await fs.readFile(path)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Creates the directory and its missing parents with `mode` (less the umask), and makes each survive a power cut before it creates the
 * next. An existing directory keeps its permissions. Anything else at that path is an error.
 */
export async function ensureDir(path: string, mode = 0o700, fs: DurableFs = systemFs): Promise<void> {
  const absolute = resolve(path)
  if (absolute === parse(absolute).root) return
  try {
    await fs.mkdir(absolute, { mode })
  } catch (error) {
    if (systemCode(error) === 'ENOENT') {
      await ensureDir(dirname(absolute), mode, fs)
      return ensureDir(absolute, mode, fs)
    }
    if (systemCode(error) !== 'EEXIST') throw error
    const there = await fs.open(`${absolute}/`, 'r') // the slash makes a file at this path an error (ENOTDIR)
    return there.close()
  }
  await syncDirectory(dirname(absolute), fs)
}

function systemCode(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}
