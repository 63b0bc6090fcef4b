import { ServiceError } from '@bailiwick/errors'
import { changeMembers, isObject, type JsonObject, memberSpan, modernVersion, type Span } from '@bailiwick/mcp'

/* The same message in the other era. Arguments, contents and unknown members stay letter for letter: the envelope alone is changed. */

const ofProtocol = (name: string) => name.startsWith('io.modelcontextprotocol/')
const whole = (text: string): Span => memberSpan(text, []) ?? { start: 0, end: text.length }

/** A request of the modern era without what that era says in each request. */
export function requestToLegacy(text: string): string {
  const meta = memberSpan(text, ['params', '_meta'])
  return meta === undefined ? text : changeMembers(text, meta, ofProtocol)
}

/** A request of the legacy era, with what the modern era says in each. It declares no capability: nothing could ask its client. */
export function requestToModern(text: string, clientInfo: unknown): string {
  const own = {
    'io.modelcontextprotocol/protocolVersion': modernVersion,
    'io.modelcontextprotocol/clientCapabilities': {},
    ...(isObject(clientInfo) ? { 'io.modelcontextprotocol/clientInfo': clientInfo } : {}),
  }
  const meta = memberSpan(text, ['params', '_meta'])
  if (meta !== undefined) return changeMembers(text, meta, ofProtocol, own)
  const params = memberSpan(text, ['params'])
  if (params !== undefined) return changeMembers(text, params, () => false, { _meta: own })
  return changeMembers(text, whole(text), () => false, { params: { _meta: own } })
}

/** Results that say how long they may be kept (2026-07-28, caching). */
const cacheable = /^(tools|prompts|resources|resources\/templates)\/list$|^resources\/read$/
const ofResults = new Set(['resultType', 'ttlMs', 'cacheScope'])

/** A response of the legacy era, which says that it is complete and must not be kept. */
export function responseToModern(text: string, value: JsonObject, method: string): string {
  const result = memberSpan(text, ['result'])
  if (result !== undefined && isObject(value.result)) {
    const kept = cacheable.test(method) ? { ttlMs: 0, cacheScope: 'private' } : {}
    return changeMembers(text, result, (name) => ofResults.has(name), { resultType: 'complete', ...kept })
  }
  // Until 2025-11-25, a resource that is not there had a code of its own.
  const code = memberSpan(text, ['error', 'code'])
  return code !== undefined && isObject(value.error) && value.error.code === -32002
    ? `${text.slice(0, code.start)}-32602${text.slice(code.end)}`
    : text
}

/** A response of the modern era. Throws `upstream_failed` for one that is not complete: the legacy era has no such answer. */
export function responseToLegacy(text: string, value: JsonObject): string {
  const result = memberSpan(text, ['result'])
  if (result === undefined || !isObject(value.result)) return text
  const { resultType = 'complete' } = value.result
  if (resultType !== 'complete')
    throw new ServiceError('upstream_failed', 'the server asks for input, which the client’s revision cannot express')
  return changeMembers(text, result, (name) => ofResults.has(name))
}
