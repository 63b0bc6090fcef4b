import { gatewayRoutes } from '@bailiwick/contracts/api'
import { errorKinds, ServiceError, toProblem } from '@bailiwick/errors'
import type { HttpReply, HttpRequest, HttpServer } from '@bailiwick/host'
import { headersOfRefusal, problemOfRefusal, type Refusal } from '@bailiwick/pep'
import type { RawHeaders } from '@bailiwick/relay'
import { proxyField } from '../authorize/asked-about.ts'
import type { Authorized, Authorizer } from '../authorize/authorizer.ts'
import type { Authorizers } from '../authorize/authorizers.ts'
import { asError, bodyFault, versionFault } from './request-rules.ts'

const { askForwardAuth, getByEnvoy, postByEnvoy, putByEnvoy, patchByEnvoy, deleteByEnvoy, optionsByEnvoy } =
  gatewayRoutes
const byEnvoy = [getByEnvoy, postByEnvoy, putByEnvoy, patchByEnvoy, deleteByEnvoy, optionsByEnvoy]
/** The longest body of a request. */
const bodyLimit = 1024 * 1024

/**
 * `/authorize/<name>`: decisions for other proxies. A decision is 200, 401 or 403: nginx knows no other status, and Envoy can be set up to
 * let a request pass upon 5xx.
 */
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
    try {
      // The only parse of the path: the router's own decodes and normalises.
      const [, name = '', target = ''] = /^\/authorize\/([a-z0-9][a-z0-9_-]*)(.*)$/.exec(url) ?? []
      const authorizer = authorizers.get(name)
      if (authorizer?.entry.proxy !== proxy) throw new ServiceError('route_unknown')
      if (!(await authorizer.isProxy({ rawHeaders }))) throw new ServiceError('proxy_unauthenticated')
      const body = request.rawBody ?? Buffer.alloc(0)
      const fault = versionFault(request.raw) ?? bodyFault(request.raw, body)
      if (fault !== undefined) throw asError(fault)
      const decided = await authorizer.decide({ method, target, rawHeaders, body })
      if ('refused' in decided) throw asError(decided)
      if (!decided.allowed) return deny(reply, decided)
      request.callerVerified()
      if (proxy === 'envoy') reply.header('x-envoy-auth-headers-to-remove', removedBy(decided, rawHeaders).join(','))
      return reply
        .code(200)
        .header('cache-control', 'no-store')
        .header('bailiwick-decision-id', decided.decisionId)
        .send()
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      if (errorKinds[error.code].retryable) reply.header('retry-after', '1')
      return send(reply, error.code, 403, toProblem(error))
    }
  }
}

function deny(reply: HttpReply, denial: Refusal): HttpReply {
  const problem = problemOfRefusal(denial)
  const status = problem.status === 401 ? 401 : 403
  return send(reply.headers(headersOfRefusal(denial)), denial.reason, status, problem)
}

const send = (reply: HttpReply, code: string, status: 401 | 403, problem: object): HttpReply =>
  reply
    .code(status)
    .header('cache-control', 'no-store')
    .header('bailiwick-denied', code)
    .type('application/problem+json')
    .send(Buffer.from(JSON.stringify({ ...problem, status })))

/** Fields that Envoy needs to send the request on at all. */
const framing: ReadonlySet<string> = new Set(['host', 'content-length', 'transfer-encoding', 'connection', 'te'])
/**
 * Also if Envoy did not show them, because its `allowed_headers` names others: what the agent proves, what makes a request one of a proxy,
 * what the gate refuses because an API takes it for another request, and what has Envoy send a request several times.
 */
const never = [
  ...['authorization', 'dpop', 'bailiwick-call-id', 'cookie', 'forwarded', 'proxy-authorization', proxyField],
  ...['x-http-method', 'x-http-method-override', 'x-method-override', 'x-original-method'],
  ...['x-original-uri', 'x-original-url', 'x-rewrite-url', 'range', 'if-range', 'content-encoding'],
  ...['x-envoy-retry-on', 'x-envoy-retry-grpc-on', 'x-envoy-max-retries', 'x-envoy-retriable-status-codes'],
  ...['x-envoy-retriable-header-names', 'x-envoy-hedge-on-per-try-timeout', 'x-envoy-upstream-rq-timeout-ms'],
  ...['x-envoy-upstream-rq-per-try-timeout-ms', 'x-envoy-upstream-alt-stat-name', 'x-envoy-auth-partial-body'],
]

/** The fields that Envoy must take out: all that were no part of the decision, above all the agent's credential. */
function removedBy({ fields }: Authorized, rawHeaders: RawHeaders): string[] {
  const names = rawHeaders.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase())
  return [...new Set([...never, ...names.filter((name) => !framing.has(name) && !fields.has(name))])]
}
