import { type ErrorCode, errorCode, type Problem, ServiceError, toProblem } from '@bailiwick/errors'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'

declare module 'fastify' {
  interface FastifyRequest {
    /** Why the request failed, for its one line in the log. */
    failure: ServiceError | undefined
  }
}

/** fastify's errors, in our codes. Its other errors that blame the request become `request_malformed`. */
const frameworkErrors: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'content_type_unsupported',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_NOT_FOUND: 'route_unknown',
}

/** Any thrown value as one of our errors: fastify's and zod's become the caller's fault, all others become `internal` (V13). */
export function serviceErrorOf(error: unknown): ServiceError {
  const code = errorCode(error)
  if (code !== 'internal') return error instanceof ServiceError ? error : new ServiceError(code, detailOf(error))
  if (hasZodFastifySchemaValidationErrors(error)) return new ServiceError('request_malformed', mismatches(error))
  const framework = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
  const known = frameworkErrors[framework]
  if (known !== undefined) return new ServiceError(known, undefined, { cause: error })
  if (blamesRequest(error, framework)) return new ServiceError('request_malformed', undefined, { cause: error })
  return new ServiceError('internal', undefined, { cause: error })
}

/**
 * The problem document (RFC 9457) of a thrown value. Also records the error for the request's line in the log. An endpoint whose standard
 * has another form of errors (OAuth) calls this in its own error handler and writes that form from the code.
 */
export function problemOf(request: FastifyRequest, error: unknown): Problem {
  request.failure = serviceErrorOf(error)
  return toProblem(request.failure)
}

/**
 * Sends a problem document. `Retry-After` is the error's own value, or 1 s if waiting helps and the route set nothing. If the body may not
 * have been read, the connection is closed, so that the client cannot go on sending it.
 */
export function sendProblem(request: FastifyRequest, reply: FastifyReply, error: unknown): FastifyReply {
  const problem = problemOf(request, error)
  return answerWith(reply, problem, request.failure?.retryAfterSeconds)
}

/** Like `sendProblem`, for an endpoint whose standard names its own problem types. */
export function answerWith(reply: FastifyReply, problem: Problem, retryAfterSeconds?: number): FastifyReply {
  const waits = problem.status === 429 || (problem.status === 503 && problem.retryable)
  if (waits && !reply.hasHeader('retry-after')) reply.header('retry-after', String(retryAfterSeconds ?? 1))
  if (problem.status === 413 || problem.status === 415) reply.header('connection', 'close')
  // As bytes, because the route's response schemas, if any, do not apply to problems.
  return reply
    .code(problem.status)
    .type('application/problem+json')
    .send(Buffer.from(JSON.stringify(problem)))
}

function detailOf(error: unknown): string | undefined {
  return error instanceof Error && 'detail' in error && typeof error.detail === 'string' ? error.detail : undefined
}

function blamesRequest(error: unknown, framework: string): boolean {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return false
  const { statusCode } = error
  // ECONNRESET: the sender of the body went away.
  const ofFramework = framework.startsWith('FST_') || framework === 'ECONNRESET'
  return ofFramework && typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
}

/** Where the request differs from its schema: at most five places, without the values. */
function mismatches(error: { validation: unknown; validationContext?: unknown }): string {
  const issues = error.validation as { instancePath: string; message?: string }[]
  const part = typeof error.validationContext === 'string' ? error.validationContext : 'request'
  const lines = issues
    .slice(0, 5)
    .map(({ instancePath, message }) => `${part}${instancePath === '/' ? '' : instancePath}: ${message}`.slice(0, 200))
  return issues.length > 5 ? `${lines.join('; ')}; and ${issues.length - 5} more` : lines.join('; ')
}
