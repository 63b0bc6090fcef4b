import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import { parseStrictJson } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { type DurableHandle, readFileIfExists, syncDirectory, writeWhole } from '@bailiwick/kit'
import { z } from 'zod'
import type { JournalRecord } from '../log-storage.ts'
import type { LogFs } from './log-fs.ts'

const headSchema = z.strictObject({
  from: z.int().min(0),
  to: z.int().min(0),
  bytes: z.int().min(0),
  sha256: z.string(),
})

/** A longer half is truncated when its turn comes again. A shorter one keeps its size, so that a flush need not change it. */
const keptBytes = 4 * 1024 * 1024

/** One of the two files. The bytes after `end` are from an earlier turn, and already part of the tree. */
interface Half {
  path: string
  file?: DurableHandle
  /** Where the next record goes. */
  end: number
  /** How many leaves a tree must have to include this whole half. */
  to: number
}

export interface Journal {
  /** As `LogStorage.readJournal`. */
  read(size: number): Promise<JournalRecord[]>
  /** As `LogStorage.enter`. */
  append(record: JournalRecord, size: number): Promise<void>
  close(): Promise<void>
}

/**
 * Two files in `dir` that are written in turns, each from its beginning. The other file is next as soon as the tree has all of its records.
 * One fdatasync makes a record durable. The remains of torn or older records are recognised by their hash and place; nothing after a record
 * is ever cut off.
 */
export function journalIn(dir: string, fs: LogFs): Journal {
  const halves: [Half, Half] = [
    { path: join(dir, 'journal.0'), end: 0, to: 0 },
    { path: join(dir, 'journal.1'), end: 0, to: 0 },
  ]
  let [current, other] = halves

  async function opened(half: Half): Promise<DurableHandle> {
    if (half.file !== undefined) return half.file
    half.file = await fs.open(half.path, 'w', 0o600)
    await syncDirectory(dirname(half.path), fs)
    return half.file
  }

  async function turn(): Promise<void> {
    ;[current, other] = [other, current]
    const long = current.end > keptBytes ? current.file : undefined
    current.end = 0
    if (long === undefined) return
    delete current.file
    await long.close()
  }

  return {
    async read(size) {
      const files = await Promise.all(halves.map(({ path }) => readFileIfExists(path, fs)))
      const records = files.flatMap((file) => (file === undefined ? [] : recordsIn(file)))
      const newer = records.filter(({ to }) => to > size).sort((a, b) => a.from - b.from)
      let next = size
      for (const { from, to } of newer) {
        // A record is entered only once all earlier ones are durable, so a missing one was lost later.
        if (from !== next) throw new ServiceError('log_inconsistent', `the journal does not go on at ${next}`)
        next = to
      }
      return newer
    },
    async append(record, size) {
      if (current.end > 0 && other.to <= size) await turn()
      const file = await opened(current)
      const framed = frame(record)
      await writeWhole(file, framed, current.end)
      await file.datasync()
      current.end += framed.length
      current.to = record.to
    },
    async close() {
      for (const { file } of halves) await file?.close()
    },
  }
}

/** A line with the place and the hash of the record, then the content, then a newline. */
function frame({ from, to, bytes }: JournalRecord): Uint8Array {
  const head = JSON.stringify({ from, to, bytes: bytes.length, sha256: hashOf({ from, to, bytes }) })
  return Buffer.concat([Buffer.from(`${head}\n`), bytes, Buffer.from('\n')])
}

/** The records that were written completely. Others may follow a damaged one, which is then noticed as missing. */
function recordsIn(file: Uint8Array): JournalRecord[] {
  const records: JournalRecord[] = []
  for (let at = 0; at < file.length; ) {
    const line = file.indexOf(0x0a, at)
    const head = line < 0 ? undefined : headOf(file.subarray(at, line))
    if (head === undefined) break
    const bytes = file.subarray(line + 1, line + 1 + head.bytes)
    const record = { from: head.from, to: head.to, bytes }
    if (bytes.length === head.bytes && hashOf(record) === head.sha256) records.push(record)
    at = line + 1 + head.bytes + 1
  }
  return records
}

function headOf(line: Uint8Array) {
  try {
    return headSchema.parse(parseStrictJson(line))
  } catch {
    return undefined
  }
}

const hashOf = ({ from, to, bytes }: JournalRecord): string =>
  createHash('sha256').update(`${from} ${to}\n`).update(bytes).digest('base64url')
