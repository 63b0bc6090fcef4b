import { gatewayRoutes } from '@bailiwick/contracts/api'
import type { HttpServer } from '@bailiwick/host'
import type { SessionApp } from '../session/session-app.ts'
import { answerAt, type RouteOptions } from './decide-at.ts'
import { never } from './request-rules.ts'
import { describeResources } from './resource-metadata.ts'

const { getFromSession, postToSession, putToSession, patchInSession, deleteInSession, describeSession } = gatewayRoutes
const routes = [getFromSession, postToSession, putToSession, patchInSession, deleteInSession]
/** The longest body of a request. */
const bodyLimit = 1024 * 1024

/** `/session/<name>/…`: web applications in which the gateway holds a session, and their metadata as protected resources (RFC 9728). */
export function sessionRoutes(
  http: HttpServer,
  application: (name: string) => SessionApp | undefined,
  options: RouteOptions,
): void {
  http.route({
    method: ['HEAD', ...routes.map(({ method }) => method)],
    url: getFromSession.path,
    exposeHeadRoute: false,
    config: { accepts: 'anything', handlerMs: never },
    bodyLimit,
    handler: (request, reply) =>
      answerAt(request, reply, options, () => {
        // The only parse of the path: a router's own decodes and normalises.
        const [, name = '', target = ''] = /^\/session\/([a-z0-9][a-z0-9_-]*)(\/.*)$/.exec(request.raw.url ?? '') ?? []
        return { entry: application(name), target }
      }),
  })
  describeResources(http, describeSession.path, options.issuer, application)
}
