import { agentAlgorithms } from '@bailiwick/credentials'
import { denialReasons, type ErrorCode, errorKinds, ServiceError } from '@bailiwick/errors'
import { type Era, modernVersion, supportedVersions } from '@bailiwick/mcp'
import { challengeError, type Refusal, retryAfterOf } from '@bailiwick/pep'
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

/** JSON-RPC's own codes, and those of MCP 2026-07-28. */
const codes: Partial<Record<ErrorCode, number>> = {
  json_malformed: -32700,
  mcp_method_unmapped: -32601,
  mcp_member_unmapped: -32602,
  mcp_tool_reserved: -32602,
  mcp_version_missing: -32602,
  mcp_header_mismatch: -32020,
  mcp_version_unsupported: -32022,
}
const invalidRequest = -32600
const internalError = -32603
/** Ours, from the range that the specification leaves to implementations. */
export const denied = -32001

/**
 * A request that was refused before anything was decided. `detail` names the rule; it quotes nothing but the name of a method or of a
 * version.
 */
export function refusedAnswer({ refused, detail }: Refused, { id, era }: { id: Id; era: Era }): Answer {
  const { status, title } = errorKinds[refused]
  const code = codes[refused] ?? invalidRequest
  const versions =
    refused === 'mcp_version_unsupported' ? { supported: supportedBeside(detail), requested: detail } : {}
  // A client of the legacy era takes an HTTP error for the end of its connection, and 404 for the end of its session. A notification has no
  // other answer than its status.
  const isCalm = era === 'legacy' && (code === -32601 || code === -32602)
  const shown = isCalm ? (id === null ? 400 : 200) : status
  return errorAnswer(shown, id, { code, message: `${title}: ${detail}`, data: { code: refused, detail, ...versions } })
}

/** Clients of the legacy era name an older revision, and begin with `initialize`. All others get what `server/discover` names. */
const supportedBeside = (requested: string): readonly string[] =>
  /^\d{4}-\d\d-\d\d$/.test(requested) && requested < modernVersion ? supportedVersions : [modernVersion]

/** The answer to a failure behind the gateway. It repeats nothing that the upstream said, which may hold a secret of the upstream. */
export function failedAnswer(error: ServiceError, id: Id): Answer {
  const { title } = errorKinds[error.code]
  return errorAnswer(200, id, { code: internalError, message: title, data: { code: error.code } })
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
  const advice =
    reason in denialReasons
      ? denialReasons[reason as keyof typeof denialReasons].remedy
      : errorKinds[reason as ErrorCode].title
  const data = {
    code: reason,
    reason: advice,
    requestable: accessRequest !== undefined,
    request_url: accessRequest?.endpoint,
    evaluation_id: decisionId,
    retry_after: retryAfterOf(refusal),
    access_request: accessRequest,
  }
  const challenge = challengeError(reason)
  const isUnknown = challenge !== undefined || reason === 'credential_missing'
  // What a server answers can hold the same members, but no field with this beginning: it says that the gateway itself denied.
  const headers = [
    ...['bailiwick-denied', reason],
    ...(isUnknown ? ['www-authenticate', challengeOf(challenge, metadataUrl)] : []),
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

/** RFC 9449 §7.1, RFC 9728 §5.1; without a credential there is no `error` (RFC 6750 §3.1). */
function challengeOf(error: string | undefined, metadataUrl: string): string {
  const said = error === undefined ? '' : `error="${error}", `
  return `DPoP ${said}resource_metadata="${metadataUrl}", algs="${agentAlgorithms.join(' ')}"`
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
