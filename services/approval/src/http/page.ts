import { join } from 'node:path'
import type { HttpServer } from '@bailiwick/service-kit'
import fastifyStatic from '@fastify/static'

const root = join(import.meta.dirname, '../../public')

/**
 * The plain page, at `/` and `/console`, and its files. The scope is its own, so that no other service's files get in its
 * way; what may run in it is bounded by the server's content security policy.
 */
export async function pageRoutes(http: HttpServer): Promise<void> {
  await http.register(async (scope) => {
    await scope.register(fastifyStatic, {
      root,
      prefix: '/console/',
      wildcard: false,
      index: false,
      cacheControl: false,
      setHeaders: (reply) => reply.header('cache-control', 'no-cache'),
    })
    for (const path of ['/', '/console', '/console/']) scope.get(path, (_, reply) => reply.sendFile('index.html'))
  })
}
