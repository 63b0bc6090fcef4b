import { constants } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import { after } from '@bailiwick/kit'
import { MAX_ENTRY_BYTES, TILE_WIDTH, type TileReader } from '@bailiwick/tlog'

/** The location of a log's files: a folder, or an address that serves them (C2SP tlog-tiles). Its content is not trusted. */
export interface LogSource {
  readonly name: string
  readonly read: TileReader
  /** Whether any part of a log exists, to distinguish a missing checkpoint from a wrong location. */
  hasTiles(): Promise<boolean>
}

/** A full bundle of the longest entries; a log contains no larger file. */
const LARGEST_FILE = TILE_WIDTH * (MAX_ENTRY_BYTES + 2)
const ANSWER_MS = 30_000
/** The longest total wait for one file of a log. */
const LONGEST_WAIT_SECONDS = 300

export function logSource(place: string): LogSource {
  return /^https?:\/\//.test(place) ? logAt(place) : logIn(place)
}

/** Throws `config_invalid` if there is no part of a log: a wrong location is not a log that lost its checkpoint. */
export async function somethingAt(source: LogSource): Promise<void> {
  if ((await source.read('checkpoint')) !== undefined || (await source.hasTiles())) return
  throw new ServiceError('config_invalid', `there is no log at ${source.name}: it has no checkpoint`)
}

function logIn(folder: string): LogSource {
  return {
    name: folder,
    read: (path) => readLogFile(join(folder, path)).catch((error) => nothingThere(error, path)),
    async hasTiles() {
      return (await stat(join(folder, 'tile')).catch((error) => nothingThere(error, 'tile'))) !== undefined
    },
  }
}

/**
 * Reads one byte over the limit, so that a file that is too long is malformed rather than cut to fit. Anything that is not a regular file
 * counts as missing: the folder's author may have put a pipe in it, which would block a reader.
 */
async function readLogFile(path: string): Promise<Uint8Array | undefined> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const found = await file.stat()
    if (!found.isFile()) return undefined
    const bytes = Buffer.alloc(Math.min(found.size, LARGEST_FILE) + 1)
    let length = 0
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    return bytes.subarray(0, length)
  } finally {
    await file.close()
  }
}

function logAt(address: string): LogSource {
  const prefix = address.endsWith('/') ? address : `${address}/`
  return {
    name: address,
    async read(path) {
      const answer = await patientFetch(address, new URL(path, prefix))
      if (answer.status === 404 || answer.status === 410) return undefined
      if (answer.status !== 200) return unreachable(address, `it answers ${answer.status} to ${path}`)
      return bodyOf(answer, LARGEST_FILE).catch((cause) =>
        unreachable(address, `its answer to ${path} breaks off, or takes too long`, cause),
      )
    },
    hasTiles: async () => false,
  }
}

/**
 * The body of an answer, read just beyond `mostBytes`, so that a body that is too long is malformed rather than cut to fit. Rejects if the
 * body breaks off.
 */
export async function bodyOf(answer: Response, mostBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of answer.body ?? []) {
    parts.push(part)
    length += part.length
    if (length > mostBytes) break
  }
  return Buffer.concat(parts)
}

/** Retries after `Retry-After` (RFC 9110 §10.2.3) while the log is overloaded. */
async function patientFetch(address: string, url: URL): Promise<Response> {
  for (let waited = 0; ; ) {
    const answer = await fetch(url, {
      redirect: 'manual',
      signal: AbortSignal.timeout(ANSWER_MS),
      headers: { 'accept-encoding': 'gzip, identity' },
    }).catch((cause) => unreachable(address, 'no answer', cause))
    const wait = answer.status === 429 || answer.status === 503 ? retryAfter(answer.headers) : undefined
    if (wait === undefined || waited + wait > LONGEST_WAIT_SECONDS) return answer
    await answer.body?.cancel()
    await after(wait * 1000)
    waited += wait
  }
}

/** Seconds, at least one; a date is compared with the answer's own date, independent of the clocks. Undefined if neither is given. */
function retryAfter(headers: Headers): number | undefined {
  const text = headers.get('retry-after') ?? ''
  const seconds = /^\d{1,9}$/.test(text)
    ? Number(text)
    : Math.ceil((Date.parse(text) - Date.parse(headers.get('date') ?? '')) / 1000)
  return Number.isNaN(seconds) ? undefined : Math.max(1, seconds)
}

function nothingThere(error: NodeJS.ErrnoException, path: string): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
  throw new ServiceError('config_invalid', `${path} of the log cannot be read: ${error.code ?? 'unknown error'}`, {
    cause: error,
  })
}

function unreachable(address: string, why: string, cause?: unknown): never {
  throw new ServiceError('service_unready', `the log at ${address} cannot be read: ${why}`, { cause })
}
