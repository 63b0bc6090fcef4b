import { errorKinds, ServiceError } from '@bailiwick/errors'
import { type Era, refusalOf } from '@bailiwick/mcp'
import { challengeError, challengeOf, type Refusal, remedyOf, retryAfterOf } from '@bailiwick/pep'
import type { Executed, RawHeaders, Refused, Relayed } from '@bailiwick/relay'

/** What leaves the gateway. */
export interface Answer {
  readonly status: number
  readonly headers: RawHeaders
  /** Set if the decision point verified the caller, who then no longer counts as a stranger. */
  readonly isVerified?: boolean
  /** Resolves once nothing more will be sent, even if the client does not read. */
  readonly over?: Promise<unknown>
  /** Whole, or as it arrives. */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>
}

type Id = string | number | null

const internalError = -32603
/** Ours, from the range that the specification leaves to implementations. */
export const denied = -32001

/**
 * A request that was refused before anything was decided. `detail` names the rule; it quotes nothing but the name of a method or of a
 * version.
 */
export function refusedAnswer(refused: Refused, { id, era }: { id: Id; era: Era }): Answer {
  const { status, error } = refusalOf(refused, { era, isAnswer: id !== null })
  return errorAnswer(status, id, error)
}

/**
 * The answer to a failure behind the gateway, or to a caller who has too much under way (429). It repeats nothing that the upstream said,
 * which may hold a secret of the upstream.
 */
export function failedAnswer(error: ServiceError, id: Id): Answer {
  const { title, status } = errorKinds[error.code]
  const [shown, headers] = status === 429 ? [status, ['retry-after', '1']] : [200, []]
  return errorAnswer(shown, id, { code: internalError, message: title, data: { code: error.code } }, headers)
}

export interface DenialOptions {
  id: Id
  /** As a result with `isError`, which models see, where clients throw on errors. */
  asResult: boolean
  /** `resource_metadata` of the challenge (RFC 9728 §5.1). */
  metadataUrl: string
}

/** A denial: nothing was executed. If it is about the caller, it is 401 with a challenge; any other is a JSON-RPC answer. */
export function denialAnswer(refusal: Refusal, { id, asResult, metadataUrl }: DenialOptions): Answer {
  const { reason, decisionId, accessRequest, dpopNonce } = refusal
  const data = {
    code: reason,
    reason: remedyOf(refusal),
    requestable: accessRequest !== undefined,
    request_url: accessRequest?.endpoint,
    evaluation_id: decisionId,
    retry_after: retryAfterOf(refusal),
    access_request: accessRequest,
  }
  const isUnknown = challengeError(reason) !== undefined || reason === 'credential_missing'
  // A server's answer can hold the same members, but not this header field: the field says that the gateway itself denied.
  const headers = [
    ...['bailiwick-denied', reason],
    ...(isUnknown ? ['www-authenticate', challengeOf(refusal, metadataUrl)] : []),
    ...(dpopNonce === undefined ? [] : ['dpop-nonce', dpopNonce]),
    ...(decisionId === undefined ? [] : ['bailiwick-decision-id', decisionId]),
  ]
  if (asResult && !isUnknown) return resultOfDenial(data, id, headers)
  return errorAnswer(isUnknown ? 401 : 200, id, { code: denied, message: `Denied: ${reason}`, data }, headers)
}

/** A text for the model, and the same members for a program. The token of a requestable denial is for programs alone. */
function resultOfDenial(
  data: object & { code: string; reason: string; request_url?: string | undefined },
  id: Id,
  headers: RawHeaders,
): Answer {
  const where = data.request_url === undefined ? '' : ` A human may allow it: ask at ${data.request_url}.`
  const result = {
    content: [{ type: 'text', text: `Denied (${data.code}). ${data.reason}${where}` }],
    isError: true,
    _meta: { 'io.bailiwick/denial': data },
  }
  return jsonAnswer(200, { jsonrpc: '2.0', id, result }, headers)
}

export function errorAnswer(
  status: number,
  id: Id,
  error: { code: number; message: string; data?: object },
  headers: RawHeaders = [],
): Answer {
  return jsonAnswer(status, { jsonrpc: '2.0', id, error }, headers)
}

export function jsonAnswer(status: number, value: object, headers: RawHeaders = []): Answer {
  return {
    status,
    headers: ['content-type', 'application/json', 'cache-control', 'no-store', ...headers],
    body: Buffer.from(JSON.stringify(value)),
  }
}

export const emptyAnswer = (status: number): Answer => ({
  status,
  headers: ['cache-control', 'no-store'],
  body: Buffer.alloc(0),
})

/** Hides what an error says that is not ours. The one of `AbortSignal.timeout` says that the server took too long. */
export function asServiceError(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error
  const isLate = error instanceof DOMException && error.name === 'TimeoutError'
  return new ServiceError(isLate ? 'upstream_timed_out' : 'internal', undefined, { cause: error })
}

/** What the upstream answered, as the gateway passes it on. */
export function answerOf({ executed, decisionId, over }: { executed: Executed } & Partial<Relayed>): Answer {
  const { status, headers, body } = executed
  const named = decisionId === undefined ? [] : ['bailiwick-decision-id', decisionId]
  return {
    status,
    headers: [...headers, 'cache-control', 'no-store', ...named],
    body,
    isVerified: true,
    ...(over === undefined ? {} : { over }),
  }
}
