import { type ErrorCode, errorKinds } from './error-kinds.ts'

/**
 * What a service throws when it cannot do what was asked. Identify it by `code` (never by `instanceof` across packages).
 * `detail` may leave the process; `cause` never does. Neither ever contains a token, key, proof or claim set.
 */
export class ServiceError extends Error {
  readonly code: ErrorCode
  readonly detail: string | undefined
  /** Whole seconds, for `Retry-After` (RFC 9110 §10.2.3). Set if the necessary wait is known. */
  readonly retryAfterSeconds: number | undefined

  constructor(code: ErrorCode, detail?: string, options?: { cause?: unknown; retryAfterSeconds?: number }) {
    super(detail === undefined ? code : `${code}: ${detail}`, options)
    this.name = 'ServiceError'
    this.code = code
    this.detail = detail
    this.retryAfterSeconds = options?.retryAfterSeconds
  }
}

/** The code of any thrown value: its own if the table knows it, else `internal`. */
export function errorCode(error: unknown): ErrorCode {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  return typeof code === 'string' && Object.hasOwn(errorKinds, code) ? (code as ErrorCode) : 'internal'
}

/** A problem document (RFC 9457). `type` is `urn:bailiwick:error:<code>`; `code` repeats it for machines. */
export interface Problem {
  type: string
  title: string
  status: number
  code: ErrorCode
  retryable: boolean
  detail?: string
}

/** Turns any thrown value into a problem document. An error that is not ours becomes `internal`, without detail. */
export function toProblem(error: unknown): Problem {
  const code = errorCode(error)
  const { title, status, retryable } = errorKinds[code]
  const detail = code !== 'internal' && error instanceof Error && 'detail' in error ? error.detail : undefined
  return {
    type: `urn:bailiwick:error:${code}`,
    title,
    status,
    code,
    retryable,
    ...(typeof detail === 'string' ? { detail } : {}),
  }
}
