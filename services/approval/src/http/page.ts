import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'

/** Built by Vite from `packages/console`. Only its index.html names the files that it contains. */
const built = join(import.meta.dirname, '../../../../packages/console/dist')

/** The app's own addresses, so that a link to a request, or a reload, finds the app. Other addresses do not exist. */
const places = ['inbox', 'requests/:id', 'grants', 'agents', 'registry', 'rules', 'people', 'evidence', 'evidence/:id']
const pages = ['/', '/console', '/console/', ...places.map((place) => `/console/${place}`)]

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
}

/**
 * The console and its files (half a megabyte), as they were at the start. A build during the process's life replaces all files, and a
 * page would then name files that no longer exist. The server's content security policy bounds what may run in the page.
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
    // File names contain the hash: the content at an address never changes.
    http.get(`/console/assets/${name}`, (_, reply) =>
      reply.header('cache-control', 'public, max-age=31536000, immutable').type(type).send(bytes),
    )
  }
}
