import { errorKinds, ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import type { Clock } from './clock.ts'
import type { Failing, Health } from './health.ts'
import { isLocal } from './http-privacy.ts'
import type { HttpServer } from './http-server.ts'
import type { Metrics } from './metrics.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered also while this instance stands by. */
    ungated?: boolean
  }
  interface FastifyRequest {
    /** When its head was read, by the server's monotonic clock. */
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
 * Adds `/healthz`, `/readyz` and `/metrics`; counts and times requests by route, and gives each one line in the log: method,
 * route, status, ms and the error, never the path, query or headers, in which callers put secrets (V17).
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
    const route = request.routeOptions.url ?? 'unknown' // the pattern, not the path: few, and without ids
    const ms = clock.monotonic() - request.startedAt
    requests.inc({ method, route, status: String(reply.statusCode) })
    seconds.observe({ method, route }, ms / 1000)
    // Who polls readiness reads the answer: the log says what changes, elsewhere.
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
  // Who may read them on this machine alone could be a browser, and a page in it by a name of its own.
  app.get('/metrics', { config: { ...config, anyHost: metricsFor === 'anyone' } }, async (request, reply) => {
    if (metricsFor === 'loopback' && !isLocal(request)) throw new ServiceError('caller_forbidden')
    return reply.type(metrics.contentType).send(await metrics.text())
  })
}

function refuseIfFailing(failing: Failing): void {
  const reasons = Object.entries(failing).map(([name, reason]) => `${name}: ${reason}`)
  if (reasons.length > 0) throw new ServiceError('service_unready', reasons.join('; '))
}

/** A defect is an error, a service that cannot answer a warning, a caller that was told no merely information. */
function levelOf(failure: ServiceError | undefined): 'debug' | 'info' | 'warn' | 'error' {
  if (failure === undefined) return 'debug'
  const { status } = errorKinds[failure.code]
  if (status === 500) return 'error'
  return status > 500 ? 'warn' : 'info'
}
