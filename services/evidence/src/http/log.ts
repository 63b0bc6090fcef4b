import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/service-kit'
import { z } from 'zod'
import type { LogReader } from '../log-reader.ts'

const text = 'text/plain; charset=utf-8'
const immutable = 'public, max-age=31536000, immutable'
export const eventIdSchema = z.strictObject({ eventId: z.string().regex(/^[0-9A-Za-z_-]{8,128}$/, 'not an event id') })
const pathSchema = z.strictObject({ '*': z.string().max(200) })

/** The log's key and checkpoint, which say no more than that there is a log of some size (DESIGN §8). */
export function checkpointRoutes(server: HttpServer, reader: () => LogReader, vkey: string): void {
  server.get('/log/vkey', async (_, reply) => {
    reply.header('cache-control', 'public, max-age=3600').type(text)
    return `${vkey}\n`
  })
  server.get('/log/checkpoint', async (_, reply) => {
    reply.header('cache-control', 'no-cache').type(text)
    return reader().checkpoint().note
  })
}

/** Tiles and entry bundles (C2SP tlog-tiles), and receipts (C2SP tlog-proof): all that was logged. */
export function tileRoutes(server: HttpServer, reader: () => LogReader): void {
  server.get('/log/tile/*', { schema: { params: pathSchema } }, async (request, reply) => {
    const bytes = await reader().tile(`tile/${request.params['*']}`)
    if (bytes === undefined) throw new ServiceError('entity_unknown', 'the log has no such tile')
    reply.header('cache-control', immutable).type('application/octet-stream')
    return Buffer.from(bytes)
  })
  server.get('/log/proof/:eventId', { schema: { params: eventIdSchema } }, async (request, reply) => {
    const proof = await reader().proof(request.params.eventId)
    if (proof === undefined) throw new ServiceError('entity_unknown', 'the log has no leaf of this event yet')
    reply.header('cache-control', 'no-cache').type(text)
    return proof
  })
}
