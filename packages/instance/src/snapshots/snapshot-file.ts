import { createHmac, timingSafeEqual } from 'node:crypto'
import { constants, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { type DurableFs, ensureDir, writeFileDurably } from '@bailiwick/kit'
import type { Row } from '@bailiwick/projection'

/** The file and the key that authenticates it. Both belong to one service of one installation. */
export interface SnapshotPlace {
  path: string
  /** For this purpose alone. An attacker who can read it can read the service's signing keys, too. */
  key: Uint8Array
}

/** Why a file is not used. `torn`: its end is missing. `forged`: it was not made with the service's key, or was changed since. */
export type FileRefusal = 'missing' | 'unreadable' | 'torn' | 'forged'

/** The content of the file: one JSON text, and the rows after it. */
interface SnapshotText {
  header: string
  rows(): AsyncIterable<Row>
}

// The file: a line with the header, lines with lists of rows, and a line with the HMAC-SHA256 of all bytes before it.

const newline = 0x0a
/** The length of the last line: 32 bytes in base64url, and its end. */
const macLine = 43 + 1
/** Written as soon as a line has about this many characters. Making one takes about a millisecond. */
const lineChars = 64 * 1024
/** Bytes that are hashed or read between two turns of the event loop. */
const perTurn = 4 * 2 ** 20
/** More than any state that this process could hold. */
const mostBytes = 2 * 2 ** 30 - 1

/**
 * Writes the file so that a reader finds the whole old one or the whole new one, after a crash at any moment. Between two lines the process
 * does other work. Resolves with the bytes written, and with the longest time that a line took, in ms.
 */
export async function writeSnapshot(
  { path, key }: SnapshotPlace,
  { header, rows }: { header: string; rows: Iterable<Row> },
  { fs, monotonic, signal }: { fs?: DurableFs | undefined; monotonic: () => number; signal: AbortSignal },
): Promise<{ bytes: number; longestMs: number }> {
  const mac = createHmac('sha256', key)
  const written = { bytes: 0, longestMs: 0 }
  async function* lines(): AsyncGenerator<Uint8Array> {
    let begun = monotonic()
    for (const text of textLines(header, rows)) {
      signal.throwIfAborted()
      const line = Buffer.from(`${text}\n`)
      mac.update(line)
      written.bytes += line.length
      written.longestMs = Math.max(written.longestMs, monotonic() - begun)
      yield line
      begun = monotonic()
    }
    yield Buffer.from(`${mac.digest('base64url')}\n`)
  }
  await ensureDir(dirname(path), 0o700, fs)
  await writeFileDurably(path, lines(), { mode: 0o600, ...(fs ? { fs } : {}) })
  return written
}

function* textLines(header: string, rows: Iterable<Row>): Generator<string> {
  yield header
  let line: string[] = []
  let chars = 0
  for (const row of rows) {
    const text = JSON.stringify(row)
    line.push(text)
    chars += text.length
    if (chars < lineChars) continue
    yield `[${line.join(',')}]`
    line = []
    chars = 0
  }
  if (line.length > 0) yield `[${line.join(',')}]`
}

/** Reads the file. Authenticates the whole of it before it parses anything. */
export async function readSnapshot({ path, key }: SnapshotPlace): Promise<SnapshotText | FileRefusal> {
  const bytes = await bytesOf(path)
  if (typeof bytes === 'string') return bytes
  const end = bytes.length - macLine
  if (end <= 0 || bytes[end - 1] !== newline || bytes.at(-1) !== newline) return 'torn'
  const stated = bytes.subarray(end)
  if (!/^[\w-]+\n$/.test(stated.toString('latin1'))) return 'torn'
  const mac = createHmac('sha256', key)
  for (let from = 0; from < end; from += perTurn) {
    mac.update(bytes.subarray(from, Math.min(end, from + perTurn)))
    await turn()
  }
  if (!timingSafeEqual(Buffer.from(`${mac.digest('base64url')}\n`), stated)) return 'forged'
  const headerEnd = bytes.indexOf(newline)
  return { header: bytes.toString('utf8', 0, headerEnd), rows: () => rowsOf(bytes, headerEnd + 1, end) }
}

async function* rowsOf(bytes: Buffer, begin: number, end: number): AsyncGenerator<Row> {
  let read = 0
  for (let from = begin; from < end; ) {
    const to = bytes.indexOf(newline, from)
    // Authenticated: this code wrote it, in this form. The reader of each row checks its columns.
    yield* JSON.parse(bytes.toString('utf8', from, to)) as Row[]
    read += to - from
    from = to + 1
    if (read < perTurn) continue
    read = 0
    await turn()
  }
}

/** Follows no link, and waits for no pipe. Read whole before anything is checked, so that it cannot change in between. */
async function bytesOf(path: string): Promise<Buffer | FileRefusal> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const stat = await file.stat()
      if (!stat.isFile() || stat.size > mostBytes || stat.uid !== process.geteuid?.()) return 'unreadable'
      return await file.readFile()
    } finally {
      await file.close()
    }
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'missing' : 'unreadable'
  }
}
