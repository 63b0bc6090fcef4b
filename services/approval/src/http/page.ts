import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import type { HttpReply, HttpRequest, HttpServer } from '@bailiwick/host'

/** Built by Vite from `packages/console`. Only its index.html names the files that it contains. */
const built = join(import.meta.dirname, '../../../../packages/console/dist')

/** The app's own addresses, so that a link to a request, or a reload, finds the app. At any other the app says that there is no such page. */
const places = [
  'inbox',
  'requests/:id',
  'grants',
  'agents',
  'agents/:id',
  'registry',
  'registry/:type',
  'registry/:type/:id',
  'rules',
  'people',
  'emergency',
  'evidence',
  'evidence/:id',
]
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
  const sendIndex = (reply: HttpReply) =>
    reply.header('cache-control', 'no-cache').type('text/html; charset=utf-8').send(index)
  for (const path of pages) http.get(path, (_, reply) => sendIndex(reply))
  const noSuchPage = noSuchPageAt(index.toString())
  // Not a route: one below `/console` would make any other method there a 405 instead of a 404.
  http.addHook('onRequest', async (request, reply) => {
    const { method, url, headers } = request
    const isForPrograms = /^\/console\/(api|assets)(\/|\?|$)/.test(url)
    if (!request.is404 || method !== 'GET' || isForPrograms || !headers.accept?.includes('text/html')) return
    // The app has its own words for this, with the rest of the console around them.
    if (url.startsWith('/console/')) return sendIndex(reply.code(404))
    return reply.code(404).header('cache-control', 'no-cache').type('text/html; charset=utf-8').send(noSuchPage)
  })
  for (const [name, forms] of assetsIn(join(root, 'assets'))) {
    const type = types[extname(name)] ?? 'application/octet-stream'
    http.get(`/console/assets/${name}`, ({ headers }, reply) => {
      const coding = codings.find((each) => forms[each] !== undefined && accepts(headers, each))
      if (coding !== undefined) reply.header('content-encoding', coding)
      // File names contain the hash: the content at an address never changes.
      return reply
        .header('cache-control', 'public, max-age=31536000, immutable')
        .header('vary', 'accept-encoding')
        .type(type)
        .send(forms[coding ?? 'identity'])
    })
  }
}

/** A page for an address that does not exist. It repeats nothing of the address, and runs no script. */
const noSuchPageAt = (index: string) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>No such page · Bailiwick</title>
${/<link rel="stylesheet"[^>]*>/.exec(index)?.[0] ?? ''}
</head>
<body>
<main class="outside">
<div class="outside-card">
<h1>There is no such page</h1>
<p>This is a server of Bailiwick, which decides what AI agents may do. People use its console.</p>
<p><a href="/console/">Go to the console</a></p>
</div>
</main>
</body>
</html>
`

/** Best first. The build leaves each form beside its file. No answer with a person's data is compressed: its length would tell of it (BREACH). */
const codings = ['br', 'gzip'] as const
type Forms = Partial<Record<(typeof codings)[number] | 'identity', Buffer>>
const endings: Readonly<Record<string, (typeof codings)[number]>> = { '.br': 'br', '.gz': 'gzip' }

function assetsIn(folder: string): Map<string, Forms> {
  const assets = new Map<string, Forms>()
  for (const file of readdirSync(folder)) {
    const ending = extname(file)
    const coding = endings[ending]
    const name = coding === undefined ? file : file.slice(0, -ending.length)
    assets.set(name, { ...assets.get(name), [coding ?? 'identity']: readFileSync(join(folder, file)) })
  }
  return assets
}

/** RFC 9110 §12.5.3, for codings that are named. */
const accepts = ({ 'accept-encoding': accepted }: HttpRequest['headers'], coding: string): boolean =>
  String(accepted ?? '')
    .split(',')
    .some((each) => {
      const [name = '', ...more] = each
        .toLowerCase()
        .split(';')
        .map((part) => part.trim())
      return name === coding && !more.some((part) => /^q=0(\.0*)?$/.test(part))
    })
