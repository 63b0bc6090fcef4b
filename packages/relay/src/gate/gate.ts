import { type Presented, readPresented } from '@bailiwick/pep'
import type { Caller } from '../relay.ts'
import type { RawHeaders, Refused, RelayRequest } from '../upstream.ts'
import { checkHeaders } from './headers.ts'
import { readQuery } from './query.ts'
import { refuse } from './refuse.ts'
import { checkPath, splitTarget } from './target.ts'

/** The head of a request, as received. */
export interface RequestHead {
  readonly method: string
  readonly target: string
  /** Names and values alternate. */
  readonly rawHeaders: RawHeaders
}

/** A head that can be read in only one way. */
export interface CheckedHead {
  readonly method: string
  readonly target: string
  readonly headers: RawHeaders
  readonly caller: Caller
}

const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/**
 * The canonical gate: lets a head through only if every server reads it in the same way, and then unchanged. `baseUrl` is the address that
 * callers use. It is configured, never taken from a Host field.
 */
export function checkHead(
  head: RequestHead,
  baseUrl: string,
): CheckedHead | Refused | Extract<Presented, { ok: false }> {
  const { method, target, rawHeaders } = head
  if (!methods.has(method)) return refuse('method_not_allowed', 'the method')
  const path = checkPath(target)
  if (path) return path
  const query = readQuery(target)
  if ('refused' in query) return query
  const fields = checkHeaders(rawHeaders)
  if ('refused' in fields) return fields
  const presented = readPresented({ rawHeaders: [...rawHeaders] })
  if (!presented.ok)
    return presented.reason === 'request_malformed' ? refuse(presented.reason, 'Bailiwick-Call-Id') : presented
  const { credential, proof, callId } = presented
  const htu = `${new URL(baseUrl).origin}${splitTarget(target).path}`
  return { method, target, headers: fields.headers, caller: Object.freeze({ credential, proof, callId, htu }) }
}

/** The request that is sent on, frozen. The body is the caller's own buffer: it is copied before it is decided on. */
export function requestOf({ method, target, headers }: CheckedHead, body: Uint8Array): RelayRequest {
  return Object.freeze({ method, target, headers, body })
}
