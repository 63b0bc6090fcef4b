import { gatewayRoutes } from '@bailiwick/contracts/api'
import type { HttpReply, HttpRequest, HttpServer } from '@bailiwick/host'
import { logField } from '../authorize/access-logs.ts'
import { answerProxy, decisionField } from '../authorize/answer-proxy.ts'
import type { Authorizer } from '../authorize/authorizer.ts'
import type { Authorizers } from '../authorize/authorizers.ts'
import { bodyFault, versionFault } from './request-rules.ts'

const { askForwardAuth, getByEnvoy, postByEnvoy, putByEnvoy, patchByEnvoy, deleteByEnvoy, optionsByEnvoy } =
  gatewayRoutes
const byEnvoy = [getByEnvoy, postByEnvoy, putByEnvoy, patchByEnvoy, deleteByEnvoy, optionsByEnvoy]
/** The longest body of a request. */
const bodyLimit = 1024 * 1024

/** `/authorize/<name>`: decisions for other proxies. A decision is 200, 401 or 403. */
export function authorizeRoutes(http: HttpServer, authorizers: Pick<Authorizers, 'get'>): void {
  const route = (method: string[], url: string, proxy: Authorizer['entry']['proxy']) =>
    http.route({
      method,
      url,
      exposeHeadRoute: false,
      // Envoy asks under the host that its client called. No web page has the secret of the proxy.
      config: { accepts: 'anything', anyHost: true },
      bodyLimit,
      handler: (request, reply) => answer(request, reply, proxy),
    })
  route([askForwardAuth.method], askForwardAuth.path, 'forward-auth')
  route(['HEAD', ...byEnvoy.map(({ method }) => method)], getByEnvoy.path, 'envoy')

  async function answer(
    request: HttpRequest,
    reply: HttpReply,
    proxy: Authorizer['entry']['proxy'],
  ): Promise<HttpReply> {
    const { rawHeaders, method = '', url = '' } = request.raw
    // The only parse of the path: the router's own decodes and normalises.
    const [, name = '', target = ''] = /^\/authorize\/([a-z0-9][a-z0-9_-]*)(.*)$/.exec(url) ?? []
    const body = request.rawBody ?? Buffer.alloc(0)
    const answered = await answerProxy(
      authorizers,
      { name, proxy, rawHeaders },
      () => versionFault(request.raw) ?? bodyFault(request.raw, body) ?? { method, target, rawHeaders, body },
    )
    reply.header('cache-control', 'no-store')
    if (!answered.allowed) return reply.code(answered.status).headers(answered.fields).send(Buffer.from(answered.body))
    const { decisionId, removed, logMark } = answered
    request.callerVerified()
    if (proxy === 'envoy') reply.header('x-envoy-auth-headers-to-remove', removed.join(','))
    if (logMark !== undefined) reply.header(logField, logMark)
    return reply.code(200).header(decisionField, decisionId).send()
  }
}
