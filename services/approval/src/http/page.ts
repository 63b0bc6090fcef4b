import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/service-kit'

/** Built by Vite from `packages/console`; what is in it is named in its index.html alone. */
const built = join(import.meta.dirname, '../../../../packages/console/dist')

/** The app's own addresses, so that a link to a request, or a reload, finds the app. Any other is none. */
const places = ['inbox', 'requests/:id', 'grants', 'agents', 'registry', 'rules', 'people', 'evidence', 'evidence/:id']
const pages = ['/', '/console', '/console/', ...places.map((place) => `/console/${place}`)]

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
}

/**
 * The console and its files, half a megabyte, as they were at the start: a build beside a running process replaces them all, and a
 * page would then name what is no longer there. What may run in it is bounded by the server's content security policy.
 */
export function pageRoutes(http: HttpServer, root: string = built): void {
  if (!existsSync(join(root, 'index.html'))) {
    const refuse = async () => {
      throw new ServiceError('route_unknown', 'the console is not built: `npm start` builds it')
    }
    for (const path of pages) http.get(path, refuse)
    return
  }
  const index = readFileSync(join(root, 'index.html'))
  for (const path of pages)
    http.get(path, (_, reply) => reply.header('cache-control', 'no-cache').type('text/html; charset=utf-8').send(index))
  for (const name of readdirSync(join(root, 'assets'))) {
    const bytes = readFileSync(join(root, 'assets', name))
    const type = types[extname(name)] ?? 'application/octet-stream'
    // Named by their hash: what is at an address never changes.
    http.get(`/console/assets/${name}`, (_, reply) =>
      reply.header('cache-control', 'public, max-age=31536000, immutable').type(type).send(bytes),
    )
  }
}
