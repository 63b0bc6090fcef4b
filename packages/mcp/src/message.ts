import type { Refused } from '@bailiwick/errors'

/** The revisions that are served. `legacy` has sessions and begins with `initialize`; `modern` says everything in each request. */
export type Era = 'legacy' | 'modern'

export const modernVersion = '2026-07-28'
/** What `MCP-Protocol-Version` may say in the legacy era; without the field it is the first revision that had this transport. */
export const legacyVersions: readonly string[] = ['2025-03-26', '2025-06-18', '2025-11-25']
export const supportedVersions: readonly string[] = [modernVersion, ...legacyVersions.toReversed()]

export type JsonObject = Readonly<Record<string, unknown>>

export type Message =
  | { readonly kind: 'request'; readonly id: string | number; readonly method: string; readonly params: JsonObject }
  | { readonly kind: 'notification'; readonly method: string; readonly params: JsonObject }
  /** `said` has the member `result` or `error`. */
  | { readonly kind: 'response'; readonly id: string | number | undefined; readonly said: JsonObject }

const longestId = 256
const longestMethod = 128

/**
 * One JSON-RPC message, read from strict JSON. The envelope is closed: a member that it does not know could be one that the upstream reads.
 * A list of messages is refused, because neither revision has any.
 */
export function readMessage(value: unknown): Message | Refused {
  if (Array.isArray(value)) return refused('a list of messages')
  if (!isObject(value)) return refused('no object')
  if (value.jsonrpc !== '2.0') return refused('jsonrpc is not 2.0')
  const { id, method, params } = value
  if (method === undefined) return readResponse(value)
  const unknown = Object.keys(value).find((name) => !['jsonrpc', 'id', 'method', 'params'].includes(name))
  if (unknown !== undefined) return refused('a member that JSON-RPC does not have')
  if (typeof method !== 'string' || !/^[A-Za-z0-9_$./-]+$/.test(method) || method.length > longestMethod)
    return refused('method')
  if (params !== undefined && !isObject(params)) return refused('params is no object')
  const given = params ?? {}
  if (given._meta !== undefined && !isObject(given._meta)) return refused('params._meta is no object')
  if (!('id' in value)) return { kind: 'notification', method, params: given }
  return isId(id) ? { kind: 'request', id, method, params: given } : refused('id')
}

function readResponse(value: JsonObject): Message | Refused {
  const closed = Object.keys(value).every((name) => ['jsonrpc', 'id', 'result', 'error'].includes(name))
  const { id } = value
  if (!closed || 'result' in value === 'error' in value) return refused('neither a request nor a response')
  if (id !== undefined && id !== null && !isId(id)) return refused('id')
  const { jsonrpc: _, id: __, ...said } = value
  return { kind: 'response', id: id ?? undefined, said }
}

/** Numbers must be whole: two readers may round others differently, and then wait for different answers. */
export function isId(id: unknown): id is string | number {
  return (typeof id === 'string' && id.length <= longestId) || Number.isSafeInteger(id)
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export const metaOf = (params: JsonObject): JsonObject => (isObject(params._meta) ? params._meta : {})

const refused = (detail: string): Refused => ({ refused: 'mcp_message_malformed', detail })
