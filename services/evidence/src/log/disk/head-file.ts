import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import { parseStrictJson } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { ensureDir, readFileIfExists, writeFileDurably, writeWhole } from '@bailiwick/kit'
import { z } from 'zod'
import type { LogFs } from './log-fs.ts'

/** The file has two places for a head, each at most this long. A write never touches the place of the newest head. */
const placeBytes = 64 * 1024

const frameSchema = z.strictObject({
  n: z.int().min(1),
  bytes: z.int().min(0).max(placeBytes),
  sha256: z.string(),
})

interface Framed {
  n: number
  content: Uint8Array
}

/** A file that gives the newest content that was written completely. */
export interface HeadFile {
  read(): Promise<Uint8Array | undefined>
  /**
   * Replaces `expected` with `next`; resolves once that survives a power cut. Rejects with `log_locked`, and changes nothing, if another
   * content is there. After any other rejection, `read` may give either of the two.
   */
  swap(expected: Uint8Array | undefined, next: Uint8Array): Promise<void>
}

/**
 * A small file that changes with every batch of the log. It is written in place, into the older of its two halves, so that one fdatasync
 * makes it durable and a torn write leaves the other half intact. In earlier versions the file was just its content. Such a file is read,
 * and rewritten with the first change.
 */
export function headFile(path: string, fs: LogFs): HeadFile {
  const hot = { ...fs, readFile: fs.readHot }

  async function halves() {
    const whole = await readFileIfExists(path, hot)
    if (whole === undefined) return { newest: undefined, whole, content: undefined }
    const [first, second] = [framedAt(whole, 0), framedAt(whole, placeBytes)]
    const newest = (first?.n ?? 0) > (second?.n ?? 0) ? first : second
    return { newest, whole, content: newest?.content ?? whole }
  }

  return {
    read: async () => (await halves()).content,
    async swap(expected, next) {
      const { newest, whole, content } = await halves()
      if (!sameBytes(content, expected))
        throw new ServiceError('log_locked', 'the tree head is not the one that was read')
      const n = (newest?.n ?? 0) + 1
      const framed = frame({ n, content: next })
      if (whole?.length === 2 * placeBytes && newest !== undefined) return overwrite(framed, (n % 2) * placeBytes)
      const both = Buffer.alloc(2 * placeBytes, ' ')
      both.set(framed, (n % 2) * placeBytes)
      await ensureDir(dirname(path), 0o700, fs)
      await writeFileDurably(path, both, { fs })
    },
  }

  async function overwrite(framed: Uint8Array, position: number): Promise<void> {
    const file = await fs.open(path, 'r+')
    try {
      await writeWhole(file, framed, position)
      await file.datasync()
    } finally {
      await file.close()
    }
  }
}

/** A line with the number and the hash of the content, then the content, then a newline. */
function frame({ n, content }: Framed): Uint8Array {
  const head = JSON.stringify({ n, bytes: content.length, sha256: hashOf(content) })
  const framed = Buffer.concat([Buffer.from(`${head}\n`), content, Buffer.from('\n')])
  if (framed.length > placeBytes) throw new RangeError('a tree head that is too long')
  return framed
}

function framedAt(file: Uint8Array, at: number): Framed | undefined {
  const place = file.subarray(at, at + placeBytes)
  const line = place.indexOf(0x0a)
  if (line < 0) return undefined
  try {
    const { n, bytes, sha256 } = frameSchema.parse(parseStrictJson(place.subarray(0, line)))
    const content = place.subarray(line + 1, line + 1 + bytes)
    return content.length === bytes && hashOf(content) === sha256 ? { n, content } : undefined
  } catch {
    return undefined
  }
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0
}

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('base64url')
