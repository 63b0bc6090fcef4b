import type { BlockList } from 'node:net'
import { ServiceError } from '@bailiwick/errors'
import { type Clock, type RandomSource, systemRandom } from '@bailiwick/kit'
import { type FastifyBaseLogger, type FastifyListenOptions, fastify, LogController } from 'fastify'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import helmet, { type HelmetOptions } from 'helmet'
import type { Health } from '../observe/health.ts'
import type { Logger } from '../observe/logger.ts'
import type { Metrics } from '../observe/metrics.ts'
import { readBodies } from './http-body.ts'
import { knowCallers } from './http-caller.ts'
import {
  boundAnswer,
  boundedServer,
  boundHandlers,
  cutConnections,
  type HttpLimits,
  httpLimits,
  refuseConnection,
} from './http-connection.ts'
import { refuseOtherHosts } from './http-host.ts'
import { observeRequests } from './http-observe.ts'
import { sendProblem } from './http-problem.ts'
import { answerUnknownRoutes } from './http-routes.ts'
import type { HttpServer } from './http-server.ts'
import { boundStrangers, type StrangerLimits, strangerLimits } from './http-strangers.ts'
import { endSessions } from './http2.ts'
import { assertListenerAllowed, type Tls } from './listener.ts'

export interface HttpServerOptions {
  logger: Logger
  clock: Clock
  health: Health
  metrics: Metrics
  /** If absent, the server listens on this machine only. */
  tls?: Tls
  /** The most bytes of a body. Default: 64 KiB. A route may set its own `bodyLimit`. */
  bodyLimit?: number
  /** The proxies whose `X-Forwarded-For` is believed. Default: none. */
  trustedProxies?: BlockList | undefined
  /** The names of this server other than those of the loopback. Default: none. `any`: every name is accepted. */
  hosts?: readonly string[] | 'any' | undefined
  /** Who may read `/metrics`. Default: callers on this machine. */
  metricsFor?: 'loopback' | 'anyone'
  limits?: Partial<HttpLimits>
  /** The limits of requests without a verified caller. */
  strangers?: Partial<StrangerLimits> | undefined
  /** Whether it speaks HTTP/2 too: over TLS by ALPN, in the clear with clients that begin with it. Default: no. */
  http2?: boolean
  /** Whether integers of a body beyond 53 bits become bigint. Otherwise such a body is refused. */
  bigIntegers?: boolean
  random?: RandomSource
}

/** No RFC defines this field. AuthZEN (§10.1.1) and every proxy accept this form, and it cannot break a header or a log line. */
const REQUEST_ID = /^[A-Za-z0-9._~:+/=-]{1,128}$/

/**
 * Makes a server that is ready for routes: strict bodies (`http-body.ts`), problem documents for every error, `X-Request-ID`,
 * security headers, `Cache-Control: no-store` unless the route says otherwise, health and metrics, one log line per request,
 * and limits on everything that a caller can hold open. The route's zod schemas validate requests and reduce responses. A response
 * without a schema is sent as it is.
 */
export async function httpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { logger, health, tls, bodyLimit = 65_536, bigIntegers = false, random = systemRandom } = options
  const limits = { ...httpLimits, ...options.limits }
  const files = tls === 'terminated' ? undefined : tls
  const loggerInstance: FastifyBaseLogger = logger
  // Made once for all responses: @fastify/helmet makes it anew each time, which costs 5 µs of every decision.
  const secure = helmet(securityHeaders(tls !== undefined))

  const app = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit,
    // A passkey's id has up to 1,400 characters, a resource's more. With the default of 100, such paths would be unknown routes.
    routerOptions: { maxParamLength: 2100 },
    return503OnClosing: false, // its response is not a problem document; `drain` handles this
    genReqId: (request) => requestId(request.headers['x-request-id'], random),
    serverFactory: (handler) =>
      boundedServer(handler, limits, { tls: files, trusted: options.trustedProxies, http2: options.http2 }),
    clientErrorHandler: refuseConnection,
    frameworkErrors: (error, request, reply) => {
      // No hook runs for an invalid path.
      secure(request.raw, reply.raw, () => undefined)
      reply.headers({ 'x-request-id': request.id, 'cache-control': 'no-store' })
      sendProblem(request, reply, error)
    },
  }).withTypeProvider<ZodTypeProvider>()

  knowCallers(app, options.trustedProxies)
  app.decorate('tlsTerminated', tls === 'terminated')
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler((error, request, reply) => sendProblem(request, reply, error))
  guardListen(app, tls)
  observeRequests(app, options) // first, so that requests refused by later hooks are also counted
  drain(app, health, limits.graceMs)
  answerUnknownRoutes(app)
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
  })
  app.addHook('onRequest', (request, reply, done) => secure(request.raw, reply.raw, () => done()))
  app.addHook('onSend', async (_request, reply, payload) => {
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
    // A stream stays at its source until it is read.
    const bytes = typeof payload === 'string' || payload instanceof Uint8Array ? Buffer.byteLength(payload) : 0
    boundAnswer(reply.raw, bytes, limits)
  })
  boundStrangers(app, { ...options, limits: { ...strangerLimits, ...options.strangers } })
  refuseOtherHosts(app, options.hosts ?? [])
  keepGate(app, health)
  boundHandlers(app, limits)
  readBodies(app, { bigIntegers })
  return app
}

/** Refuses requests while this instance stands by: callers must ask another instance. Runs before any of the body is read. */
function keepGate(app: HttpServer, health: Health): void {
  app.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.config.ungated === true) return
    const reasons = Object.values(health.gates())
    if (reasons.length === 0) return
    reply.header('retry-after', '1') // also where a route formats its errors itself
    throw new ServiceError('service_standby', reasons.join('; '))
  })
}

function requestId(given: string | string[] | undefined, random: RandomSource): string {
  // Several fields are joined with a comma, which an id cannot contain.
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : Buffer.from(random(16)).toString('base64url')
}

/** Pages may load only what this origin serves, and no page may frame them. */
function securityHeaders(https: boolean): HelmetOptions {
  return {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        connectSrc: ["'self'"],
        imgSrc: ["'self'", 'data:'],
        frameAncestors: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
      },
    },
    frameguard: { action: 'deny' },
    referrerPolicy: { policy: 'no-referrer' },
    strictTransportSecurity: https ? { maxAge: 31_536_000 } : false,
  }
}

/** Leaves no way around `assertListenerAllowed`, and makes `localhost` always mean 127.0.0.1. */
function guardListen(app: HttpServer, tls: Tls): void {
  const listen = app.listen.bind(app)
  app.listen = (async (options: FastifyListenOptions = {}) => {
    if (options.path !== undefined) return listen({ path: options.path })
    const host = options.host === undefined || options.host === 'localhost' ? '127.0.0.1' : options.host
    assertListenerAllowed(host, tls)
    const address = await listen({ ...options, host })
    return typeof tls === 'object' ? address.replace(/^http:/, 'https:') : address
  }) as HttpServer['listen']
}

/** From the start of `close`: not ready, no new requests, and requests not answered within the grace period are cut off. */
function drain(app: HttpServer, health: Health, graceMs: number): void {
  let stopping = false
  let cut: NodeJS.Timeout | undefined
  app.addHook('preClose', async () => {
    stopping = true
    health.stopping()
    endSessions(app.server)
    cut = setTimeout(() => cutConnections(app.server), graceMs)
  })
  app.addHook('onClose', async () => clearTimeout(cut))
  app.addHook('onRequest', async () => {
    if (stopping) throw new ServiceError('service_unready', 'the service stops')
  })
  // Otherwise the connection would be kept for its next request, and the close would wait for it.
  app.addHook('onSend', async (_request, reply) => {
    if (stopping) reply.header('connection', 'close')
  })
}
