import { errorKinds, ServiceError } from '@bailiwick/errors'
import type { Clock } from '@bailiwick/kit'
import { z } from 'zod'
import type { Failing, Health } from '../observe/health.ts'
import type { Metrics } from '../observe/metrics.ts'
import { isLocal } from './http-privacy.ts'
import type { HttpServer } from './http-server.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered even while this instance stands by. */
    ungated?: boolean
  }
  interface FastifyRequest {
    /** When the request's head was read, by the server's monotonic clock. */
    startedAt: number
  }
}

interface Observers {
  clock: Clock
  health: Health
  metrics: Metrics
  metricsFor?: 'loopback' | 'anyone'
}

/**
 * Adds `/healthz`, `/readyz` and `/metrics`. Counts and times requests by route, and logs one line for each: method, route, status, ms and
 * the error, but never the path, query or headers, in which callers put secrets (V17).
 */
export function observeRequests(app: HttpServer, { clock, health, metrics, metricsFor = 'loopback' }: Observers): void {
  app.decorateRequest('failure', undefined)
  app.decorateRequest('startedAt', 0)
  const labels = ['method', 'route', 'status'] as const
  const requests = metrics.counter('http_requests_total', 'Requests answered', labels)
  const seconds = metrics.histogram('http_request_seconds', 'From the head of a request to its answer', [
    'method',
    'route',
  ])

  app.addHook('onRequest', async (request) => {
    request.startedAt = clock.monotonic()
  })
  app.addHook('onResponse', async (request, reply) => {
    const { method, failure } = request
    const route = request.routeOptions.url ?? 'unknown' // the pattern, not the path: there are few patterns, and they contain no ids
    const ms = clock.monotonic() - request.startedAt
    requests.inc({ method, route, status: String(reply.statusCode) })
    seconds.observe({ method, route }, ms / 1000)
    // A client that polls readiness reads the response. Changes of readiness are logged elsewhere.
    const polled = route === '/healthz' || route === '/readyz'
    request.log[polled ? 'debug' : levelOf(failure)](
      { method, route, status: reply.statusCode, ms: Math.round(ms * 10) / 10, ...(failure ? { err: failure } : {}) },
      failure?.code ?? 'answered',
    )
  })

  const config = { ungated: true, anyHost: true }
  const answer = { config, schema: { response: { 200: z.object({ status: z.string() }) } } }
  app.get('/healthz', answer, async () => {
    refuseIfFailing(health.liveness())
    return { status: 'live' }
  })
  app.get('/readyz', answer, async () => {
    refuseIfFailing(health.readiness())
    return { status: 'ready' }
  })
  // A reader that is allowed only because it is on this machine could be a browser with a page under a name of its own.
  app.get('/metrics', { config: { ...config, anyHost: metricsFor === 'anyone' } }, async (request, reply) => {
    if (metricsFor === 'loopback' && !isLocal(request)) throw new ServiceError('caller_forbidden')
    return reply.type(metrics.contentType).send(await metrics.text())
  })
}

function refuseIfFailing(failing: Failing): void {
  const reasons = Object.entries(failing).map(([name, reason]) => `${name}: ${reason}`)
  if (reasons.length > 0) throw new ServiceError('service_unready', reasons.join('; '))
}

/** A defect is an error, a service that cannot answer is a warning, and a caller that was refused is mere information. */
function levelOf(failure: ServiceError | undefined): 'debug' | 'info' | 'warn' | 'error' {
  if (failure === undefined) return 'debug'
  const { status } = errorKinds[failure.code]
  if (status === 500) return 'error'
  return status > 500 ? 'warn' : 'info'
}
