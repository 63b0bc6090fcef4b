import type { HttpServer } from '@bailiwick/service-kit'
import { z } from 'zod'
import { type ProveOptions, proveAction } from '../prove/prove-action.ts'

const paramsSchema = z.strictObject({ '*': z.string().min(1).max(2100) })

/** `GET /v1/bundle/{id}`: all entries that an action rests on, each proved to be in the log, for an outsider to verify. */
export function bundleRoute(server: HttpServer, options: () => ProveOptions): void {
  server.get('/v1/bundle/*', { schema: { params: paramsSchema } }, async (request, reply) => {
    const bundle = await proveAction(request.params['*'], options())
    return reply.type('application/json').send(bundle)
  })
}
