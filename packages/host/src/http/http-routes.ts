import { ServiceError } from '@bailiwick/errors'
import type { FastifyInstance } from 'fastify'
import { sendProblem } from './http-problem.ts'

/**
 * Answers requests without a route: 405 with `Allow` (RFC 9110 §15.5.6) when the path exists with other methods, else 404. fastify itself
 * answers 404 to both. Call this before any route is added.
 */
export function answerUnknownRoutes(app: FastifyInstance): void {
  const methodsByPattern = new Map<string, { pattern: RegExp; methods: Set<string> }>()

  app.addHook('onRoute', ({ url, method }) => {
    const known = methodsByPattern.get(url) ?? { pattern: patternOf(url), methods: new Set<string>() }
    for (const each of [method].flat()) known.methods.add(each)
    methodsByPattern.set(url, known)
  })

  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? ''
    const allowed = new Set<string>()
    for (const { pattern, methods } of methodsByPattern.values()) {
      if (pattern.test(path)) for (const method of methods) allowed.add(method)
    }
    if (allowed.size === 0) return sendProblem(request, reply, new ServiceError('route_unknown'))
    reply.header('allow', [...allowed].sort().join(', '))
    return sendProblem(request, reply, new ServiceError('method_not_allowed'))
  })
}

/** A route's path as a pattern: a parameter matches any segment, `*` matches the rest. */
function patternOf(url: string): RegExp {
  const segments = url.split('/').map((segment) => {
    if (segment === '*') return '.*'
    if (segment.includes(':')) return '[^/]+'
    return segment.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  })
  return new RegExp(`^${segments.join('/')}$`)
}
