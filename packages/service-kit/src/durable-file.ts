import { mkdir, open, readFile, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join, parse, resolve } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import { type RandomSource, systemRandom } from './random.ts'

/** An open file, as far as durability needs it. */
export interface DurableHandle {
  /** May write fewer bytes than asked: a disk that fills up does so before it says ENOSPC. At `position`, else at the end. */
  write(bytes: Uint8Array, offset: number, length: number, position?: number): Promise<{ bytesWritten: number }>
  sync(): Promise<void>
  /** As `sync`, but for the times of the file: overwriting what is there costs no change of the folder's records. */
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
  /** Permissions of the new file, less the process's umask: 0600 unless told. */
  mode?: number
  fs?: DurableFs
  random?: RandomSource
}

/**
 * Puts `bytes` at `path` so that a reader, also after a crash at any moment, finds all of the old content or all of the
 * new. Resolves once the new content survives a power cut. A rejection with the file system's own error means that nothing
 * changed; `outcome_unknown` that the new content is there but may not last. Two writers of one path: the last one wins.
 */
export async function writeFileDurably(path: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<void> {
  await replaceFile(path, bytes, options)
  await syncDirectory(dirname(path), options.fs)
}

/**
 * `writeFileDurably` without its last step: a reader finds all of the old content or all of the new, but until
 * `syncDirectory` of the folder a power cut may bring the old content back. A rejection means that nothing changed.
 */
export async function replaceFile(path: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<void> {
  const { mode = 0o600, fs = systemFs, random = systemRandom } = options
  // Beside the target, since a rename does not cross file systems; with a name nobody can have put a link at.
  const temporary = join(dirname(path), `.${basename(path)}.${Buffer.from(random(8)).toString('hex')}.tmp`)
  try {
    await writeNew(temporary, bytes, mode, fs)
    await fs.rename(temporary, path)
  } catch (error) {
    await fs.unlink(temporary).catch(() => undefined) // what a crash leaves behind is never read either
    throw error
  }
}

async function writeNew(path: string, bytes: Uint8Array, mode: number, fs: DurableFs): Promise<void> {
  const file = await fs.open(path, 'wx', mode)
  try {
    await writeWhole(file, bytes)
    // Never repeated: after a failed fsync the kernel may have dropped the pages, and a second one would succeed.
    await file.sync()
  } catch (error) {
    await file.close().catch(() => undefined)
    throw error
  }
  await file.close()
}

/** Writes every byte, at `position` when given, else at the end; nothing of it is durable yet. */
export async function writeWhole(file: DurableHandle, bytes: Uint8Array, position?: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const at = position === undefined ? [] : ([position + written] as const)
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, ...at)
    if (bytesWritten <= 0) throw new Error('the file system took nothing of a write')
    written += bytesWritten
  }
}

/** Makes the names in a directory durable; rejects with `outcome_unknown`. */
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

/** The bytes of the file, or undefined when there is none; every other failure is thrown as the file system says it. */
export async function readFileIfExists(path: string, fs: DurableFs = systemFs): Promise<Uint8Array | undefined> {
  try {
    return await fs.readFile(path)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Makes the directory and those above it that are missing, with `mode` (less the umask), and lets each survive a power cut
 * before the next one is made. A directory that is already there keeps its permissions; anything else there is an error.
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
    const there = await fs.open(`${absolute}/`, 'r') // the slash makes a file there an error (ENOTDIR)
    return there.close()
  }
  await syncDirectory(dirname(absolute), fs)
}

function systemCode(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}
