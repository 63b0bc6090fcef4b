import { errorKinds, type ServiceError } from '@bailiwick/errors'
import { headersOfRefusal, problemOfRefusal, type Refusal, remedyOf, retryAfterOf } from '@bailiwick/pep'
import type { Refused } from '@bailiwick/relay'
import type { Api } from './usage.ts'

/** An answer of the gateway itself, in the shape in which clients of the API read errors. */
export interface ModelError {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: object
}

/** Nothing was decided: the rule, and never a value of the request. */
export function refusedError(api: Api, { refused, detail }: Refused): ModelError {
  const { status, title } = errorKinds[refused]
  return errorOf(api, { status, code: refused, message: `${title}: ${detail}` })
}

/** Nothing was executed. A call that may succeed a moment later gets 429 with `Retry-After`, and the usual clients then try again. */
export function deniedError(api: Api, refusal: Refusal): ModelError {
  const { reason, decisionId, accessRequest } = refusal
  const { status } = problemOfRefusal(refusal)
  return errorOf(api, {
    status: status === 403 && retryAfterOf(refusal) !== undefined ? 429 : status,
    code: reason,
    message: `Denied (${reason}). ${remedyOf(refusal)}`,
    headers: {
      ...headersOfRefusal(refusal),
      ...(decisionId === undefined ? {} : { 'bailiwick-decision-id': decisionId }),
    },
    more: accessRequest === undefined ? {} : { access_request: accessRequest },
  })
}

/** The permit was used. Says nothing that the provider said. Clients repeat a call by themselves only if nothing was sent. */
export function failedError(api: Api, { code }: ServiceError): ModelError {
  const { status, title, retryable } = errorKinds[code]
  return errorOf(api, { status, code, message: title, headers: { 'x-should-retry': String(retryable) } })
}

interface Said {
  status: number
  code: string
  message: string
  headers?: Record<string, string>
  more?: object
}

function errorOf(api: Api, { status, code, message, headers = {}, more = {} }: Said): ModelError {
  const type = api === 'anthropic' ? (anthropicTypes[status] ?? 'api_error') : 'bailiwick'
  const error = { type, code, message, param: null, ...more }
  // `code` and `retry_after` are where agents with our SDK read them.
  const ours = { code, ...('retry-after' in headers ? { retry_after: Number(headers['retry-after']) } : {}) }
  return { status, headers, body: api === 'anthropic' ? { type: 'error', error, ...ours } : { error, ...ours } }
}

const anthropicTypes: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
}
