import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { evidenceRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import type { LogReader } from '../log/log-reader.ts'
import { fileRate } from './rates.ts'
import type { Admit } from './readers.ts'
import type { Sending } from './sending.ts'

const { readLogKey, readCheckpoint, readTile, readProof } = evidenceRoutes
const immutable = 'public, max-age=31536000, immutable'

/** The log's key and checkpoint, which reveal only that there is a log of some size (DESIGN §8). */
export function checkpointRoutes(server: HttpServer, reader: () => LogReader, vkey: string): void {
  server.get(readLogKey.path, async (_, reply) => {
    reply.header('cache-control', 'public, max-age=3600').type(readLogKey.gives)
    return `${vkey}\n`
  })
  server.get(readCheckpoint.path, async (_, reply) => {
    reply.header('cache-control', 'no-cache').type(readCheckpoint.gives)
    return reader().checkpoint().note
  })
}

/** Tiles and entry bundles (C2SP tlog-tiles), and receipts (C2SP tlog-proof). They reveal everything that was logged. */
export function tileRoutes(
  server: HttpServer,
  reader: () => LogReader,
  rates: { read: Admit; sending: Sending },
): void {
  const compressed = bundleCompressor()
  const config = { strangers: fileRate }
  server.get(readTile.path, { config, schema: { params: readTile.params } }, async (request, reply) => {
    const path = `tile/${request.params['*']}`
    const bytes = await rates.sending.read(request.caller, reply.raw, () => reader().tile(path))
    if (bytes === undefined) throw new ServiceError('entity_unknown', 'the log has no such tile')
    reply.header('cache-control', immutable).type(readTile.gives)
    // Hashes do not compress.
    if (!path.startsWith('tile/entries/')) return Buffer.from(bytes)
    reply.header('vary', 'accept-encoding')
    const smaller = takesGzip(request.headers['accept-encoding']) ? await compressed(bytes) : undefined
    if (smaller !== undefined) reply.header('content-encoding', 'gzip')
    return Buffer.from(smaller ?? bytes)
  })
  server.get(readProof.path, { schema: { params: readProof.params } }, async (request, reply) => {
    const proof = await rates.read(request, 1, () => reader().proof(request.params.eventId))
    if (proof === undefined) throw new ServiceError('entity_unknown', 'the log has no leaf of this event yet')
    reply.header('cache-control', 'no-cache').type(readProof.gives)
    return proof
  })
}

/** For a log that is not public: a client that may not read must not conclude that the tiles are lost. */
export function closedTileRoutes(server: HttpServer): void {
  for (const { path } of [readTile, readProof])
    server.get(path, () => {
      throw new ServiceError('caller_unauthenticated', 'the log is not public')
    })
}

const squeeze = promisify(gzip)

/**
 * Compresses one bundle at a time. A call meanwhile gets undefined, and its bundle is sent uncompressed: the log's flushes need the same
 * threads.
 */
function bundleCompressor(): (bytes: Uint8Array) => Promise<Uint8Array | undefined> {
  let busy = false
  return async (bytes) => {
    if (busy) return undefined
    busy = true
    try {
      return await squeeze(bytes, { level: 1 })
    } finally {
      busy = false
    }
  }
}

/** RFC 9110 §12.5.3: `gzip` is listed, with no weight of 0. */
function takesGzip(accepted: string | string[] | undefined): boolean {
  const gzipped = String(accepted ?? '')
    .toLowerCase()
    .split(',')
    .map((coding) => coding.split(';').map((part) => part.trim()))
    .find(([name]) => name === 'gzip')
  return gzipped !== undefined && !gzipped.some((part) => /^q=0(\.0*)?$/.test(part))
}
