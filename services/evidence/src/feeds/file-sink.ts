import { constants } from 'node:fs'
import { type FileHandle, open, readdir, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import { syncDirectory } from '@bailiwick/kit'
import type { Delivered, Destination } from './feed.ts'
import type { FeedRecord } from './records.ts'

export interface FileSinkOptions {
  path: string
  /** A file that would grow beyond this size is put aside first. */
  maxBytes: number
  /** How many of the files that were put aside are kept. */
  keep: number
  /** The log whose leaves these are. */
  origin: string
  bound: number
}

const batch = 128
/** The last line is searched in this much of the file's end. Lines are never longer. */
const tailBytes = 512 * 1024
const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW } = constants

/**
 * JSON lines in one file, one event per line, fsynced. A log shipper follows the file by name. A full file is put aside as
 * `<name>.<index of the leaf that comes after it>`. An incomplete line that a crash or a full disk left is removed before the next line is
 * written. A leaf whose line exists already is not written again.
 */
export function fileSink({ path, maxBytes, keep, origin, bound }: FileSinkOptions): Destination {
  /** The file's length after the last complete write, and the last leaf in it. */
  let whole: { bytes: number; last: number | undefined } | undefined

  async function append(file: FileHandle, bytes: Buffer, from: number): Promise<void> {
    try {
      for (let written = 0; written < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, written, bytes.length - written)
        if (bytesWritten <= 0) throw new Error('the file system took nothing of a write')
        written += bytesWritten
      }
      await file.datasync()
      // Makes the name of a new file durable, and the name of the file that was put aside for it.
      if (from === 0) await syncDirectory(dirname(path))
    } catch (error) {
      whole = undefined
      await file.truncate(from).catch(() => undefined) // if this fails, the next write truncates
      throw error
    }
  }

  async function aside(next: number): Promise<void> {
    await rename(path, `${path}.${String(next).padStart(16, '0')}`)
    const old = (await readdir(dirname(path)))
      .filter((name) => name.startsWith(`${basename(path)}.`) && /\.\d{16}$/.test(name))
      .sort()
    for (const name of old.slice(0, Math.max(0, old.length - keep))) await unlink(join(dirname(path), name))
  }

  /** Undefined if the file was put aside instead. A new one has room. */
  async function write(records: readonly FeedRecord[]): Promise<Delivered | undefined> {
    const file = await openFile(path)
    try {
      const { size } = await file.stat()
      const { bytes, last } = whole?.bytes === size ? whole : await mended(file, size, origin)
      const fresh = last === undefined ? records : records.filter(({ index }) => index > last)
      const [first] = fresh
      if (first === undefined) return { taken: records.length }
      const lines = linesOf(fresh)
      if (bytes > 0 && bytes + lines.length > maxBytes) {
        await aside(first.index)
        return undefined
      }
      await append(file, lines, bytes)
      whole = { bytes: bytes + lines.length, last: fresh.at(-1)?.index }
      return { taken: records.length }
    } finally {
      await file.close()
    }
  }

  return {
    name: 'file',
    batch,
    bound,
    deliver: async (records) => (await write(records)) ?? (await write(records)) ?? { again: 0 },
  }
}

/** Throws `config_invalid` for a path where such a file cannot exist. */
export async function assertFileSink(path: string): Promise<void> {
  try {
    await (await openFile(path)).close()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'not a file'
    throw new ServiceError('config_invalid', `BAILIWICK_SINK_FILE: ${path} cannot be written (${code})`)
  }
}

/** Opens only a regular file, and never through a symbolic link, which an attacker may have put there. */
async function openFile(path: string): Promise<FileHandle> {
  const file = await open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0o640)
  if ((await file.stat()).isFile()) return file
  await file.close()
  throw new Error('not a file')
}

/** Removes an incomplete line at the end, and reads the leaf index of the last complete line. */
async function mended(
  file: FileHandle,
  size: number,
  origin: string,
): Promise<{ bytes: number; last: number | undefined }> {
  const from = Math.max(0, size - tailBytes)
  const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from)
  const tail = buffer.subarray(0, bytesRead)
  const end = tail.lastIndexOf(0x0a) + 1
  if (end === 0 && from > 0) throw new Error('the file holds something else than lines')
  if (end < tail.length) await file.truncate(from + end)
  const begin = end < 2 ? 0 : tail.lastIndexOf(0x0a, end - 2) + 1
  return { bytes: from + end, last: leafOf(tail.subarray(begin, end).toString(), origin) }
}

/** Undefined for a line that is not from this log. The next line is written after it. */
function leafOf(line: string, origin: string): number | undefined {
  try {
    const { log_name: name, sequence } = (JSON.parse(line) as { metadata: Record<string, unknown> }).metadata
    return name === origin && Number.isSafeInteger(sequence) ? Number(sequence) : undefined
  } catch {
    return undefined
  }
}

const linesOf = (records: readonly FeedRecord[]) => Buffer.from(records.map(({ json }) => `${json}\n`).join(''))
