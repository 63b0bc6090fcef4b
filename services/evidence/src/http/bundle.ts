import { evidenceRoutes } from '@bailiwick/contracts/api'
import type { HttpServer } from '@bailiwick/host'
import { type ProveOptions, proveAction } from '../prove/prove-action.ts'
import type { Admit } from './readers.ts'

const { path, params: paramsSchema, query: querySchema } = evidenceRoutes.proveAction

/** The cost of a whole story, and of every entry about keys, rules and people. */
const bundleCost = 25

/**
 * `GET /v1/bundle/{id}`: all entries that an action rests on, each proved to be in the log, for an outsider to verify. Values behind their
 * salted hashes are withheld unless `reveal` names them.
 */
export function bundleRoute(server: HttpServer, admit: Admit, options: () => ProveOptions): void {
  server.get(path, { schema: { params: paramsSchema, querystring: querySchema } }, async (request, reply) => {
    const { params, query } = request
    const bundle = await admit(request, bundleCost, () => proveAction(params['*'], options(), query))
    return reply.type('application/json').send(bundle)
  })
}
