import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/service-kit'
import fastifyStatic from '@fastify/static'

/** Built by Vite from `packages/console`; what is in it is named in its index.html alone. */
const root = join(import.meta.dirname, '../../../../packages/console/dist')

/** The app's own addresses, so that a link to a request, or a reload, finds the app. Any other is none. */
const places = ['inbox', 'requests/:id', 'grants', 'agents', 'registry', 'rules', 'people', 'evidence', 'evidence/:id']
const pages = ['/', '/console', '/console/', ...places.map((place) => `/console/${place}`)]

/**
 * The console and its files. The scope is its own, so that no other service's files get in its way; what may run in it is
 * bounded by the server's content security policy.
 */
export async function pageRoutes(http: HttpServer): Promise<void> {
  await http.register(async (scope) => {
    const built = existsSync(join(root, 'index.html'))
    if (!built) {
      const refuse = async () => {
        throw new ServiceError('route_unknown', 'the console is not built: `npm start` builds it')
      }
      for (const path of pages) scope.get(path, refuse)
      return
    }
    await scope.register(fastifyStatic, {
      root: join(root, 'assets'),
      prefix: '/console/assets/',
      wildcard: false,
      index: false,
      cacheControl: false,
      // Named by their hash: what is at an address never changes.
      setHeaders: (reply) => reply.header('cache-control', 'public, max-age=31536000, immutable'),
    })
    for (const path of pages)
      scope.get(path, (_, reply) => reply.header('cache-control', 'no-cache').sendFile('index.html', root))
  })
}
