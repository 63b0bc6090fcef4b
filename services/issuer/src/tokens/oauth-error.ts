import { agentAlgorithms } from '@bailiwick/credentials'
import { type ErrorCode, errorCode, errorKinds, type Problem, ServiceError, toProblem } from '@bailiwick/errors'

/** A refusal in OAuth form (RFC 6749 §5.2, RFC 9449 §5, RFC 8628 §3.5): a code for programs, and a sentence for their authors. */
export class OAuthError extends Error {
  readonly error: string
  readonly status: number
  /** Sent as `Retry-After`. */
  readonly waitSeconds: number | undefined

  constructor(error: string, description: string, options: { status?: number; waitSeconds?: number } = {}) {
    super(description)
    this.error = error
    this.status = options.status ?? 400
    this.waitSeconds = options.waitSeconds
  }
}

export const unavailable = (why: string) =>
  new OAuthError('temporarily_unavailable', why, { status: 503, waitSeconds: 1 })

/** Errors from outside the endpoint's steps: an unreadable request, a standby instance, a temporary or a permanent failure. */
export function oauthErrorOf({ code, status, retryable, detail }: Problem, waitSeconds = 1): OAuthError {
  // Says which parameter is wrong, and how: a client's author has no other information.
  const why = status < 500 && detail !== undefined ? `${errorKinds[code].title}: ${detail}.` : sentence(code)
  if (retryable && (status === 429 || status === 503))
    return new OAuthError('temporarily_unavailable', why, { status, waitSeconds })
  return new OAuthError(status < 500 ? 'invalid_request' : 'server_error', why, { status })
}

/** RFC 9449 §7.1. */
export const challenge = (error: string) => `DPoP error="${error}", algs="${agentAlgorithms.join(' ')}"`

/** A refusal of minting, as the OAuth error if there is one; otherwise the error itself. */
export function asOAuthError(error: unknown): unknown {
  const code = errorCode(error)
  switch (code) {
    case 'state_stale':
    case 'state_contended':
    case 'deadline_exceeded':
    case 'outcome_unknown':
      return unavailable(`${sentence(code)} Ask again.`)
    case 'queue_full':
      return new OAuthError('temporarily_unavailable', `${sentence(code)} Ask again.`, {
        status: 429,
        waitSeconds: error instanceof ServiceError ? (error.retryAfterSeconds ?? 1) : 1,
      })
    case 'rate_limited':
      return new OAuthError('temporarily_unavailable', 'This client asks for too much.', {
        status: 429,
        waitSeconds: 10,
      })
    case 'grant_not_active':
      return new OAuthError(
        'access_denied',
        `No credential is given for this grant: ${toProblem(error).detail ?? 'not active'}.`,
      )
    case 'delegation_invalid':
      return new OAuthError(
        'invalid_request',
        `The subject_token is no delegation that holds here: ${toProblem(error).detail}.`,
      )
    case 'caller_forbidden':
      return new OAuthError('access_denied', 'The grant belongs to another agent, instance or key.')
    default:
      return error
  }
}

/** The title of a code, as a sentence. */
export const sentence = (code: ErrorCode): string => `${errorKinds[code].title}.`

/** The body of a refusal. A description must not contain quotes, backslashes or non-ASCII characters (RFC 6749 §5.2). */
export function oauthErrorBody(error: string, description: string) {
  return { error, error_description: description.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, "'") }
}
