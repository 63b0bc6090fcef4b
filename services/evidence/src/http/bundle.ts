import type { HttpServer } from '@bailiwick/service-kit'
import { z } from 'zod'
import { type ProveOptions, proveAction } from '../prove/prove-action.ts'
import type { Admit } from './readers.ts'

const paramsSchema = z.strictObject({ '*': z.string().min(1).max(2100) })

/** A whole story, and every entry about who was who. */
const bundleCost = 25

/** `GET /v1/bundle/{id}`: all entries that an action rests on, each proved to be in the log, for an outsider to verify. */
export function bundleRoute(server: HttpServer, admit: Admit, options: () => ProveOptions): void {
  server.get('/v1/bundle/*', { schema: { params: paramsSchema } }, async (request, reply) => {
    const bundle = await admit(request, bundleCost, () => proveAction(request.params['*'], options()))
    return reply.type('application/json').send(bundle)
  })
}
