import { join } from 'node:path'
import type { HttpServer } from '@bailiwick/service-kit'
import fastifyStatic from '@fastify/static'

const root = join(import.meta.dirname, '../../public')

/** The plain page, at `/` and `/console`. In a scope of its own, so that no other service's files get in its way. */
export async function pageRoutes(http: HttpServer): Promise<void> {
  await http.register(async (scope) => {
    await scope.register(fastifyStatic, { root, serve: false, cacheControl: false })
    for (const path of ['/', '/console', '/console/']) scope.get(path, (_, reply) => reply.sendFile('index.html'))
    for (const file of ['app.js', 'ceremonies.js', 'style.css'])
      scope.get(`/console/${file}`, (_, reply) => reply.sendFile(file))
  })
}
