import type { Refused } from '@bailiwick/errors'

/** The head of a request of HTTP/2 as one of HTTP/1.1. */
export interface RequestHead {
  readonly method: string
  readonly target: string
  /** Names and values in turn, with one `host`. */
  readonly fields: readonly string[]
  /** Whether the length of the body is among the fields. */
  readonly hasLength: boolean
}

/** RFC 9113 §8.2.2. They speak about a connection, and HTTP/2 has them elsewhere. */
const ofConnection: ReadonlySet<string> = new Set([
  ...['connection', 'http2-settings', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'],
])
const pseudo: ReadonlySet<string> = new Set([':method', ':scheme', ':authority', ':path'])

const refused = (detail: string): Refused => ({ refused: 'request_malformed', detail })

/**
 * Reads the fields of a request as received, or says why it has no single reading. nghttp2 has checked most of it before; what would become
 * another request in HTTP/1.1 is checked here all the same.
 */
export function readHead(rawHeaders: readonly string[]): RequestHead | Refused {
  const of = new Map<string, string>()
  const fields: string[] = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = [rawHeaders[at], rawHeaders[at + 1]]
    if (ofConnection.has(name)) return refused('a field that speaks about a connection')
    if (/[A-Z]/.test(name) || /[\r\n\0]/.test(name + value)) return refused('a field that HTTP/2 does not have')
    if (!name.startsWith(':') && name !== 'host' && name !== 'content-length') {
      fields.push(name, value)
      continue
    }
    if (of.has(name) || (name.startsWith(':') && !pseudo.has(name))) return refused('a field that comes once at most')
    of.set(name, value)
  }
  const [method, scheme, target] = [of.get(':method'), of.get(':scheme'), of.get(':path')]
  const [authority, host, length] = [of.get(':authority'), of.get('host'), of.get('content-length')]
  if (method === undefined || target === undefined) return refused('no method or no path')
  if (method === 'CONNECT') return { refused: 'method_not_allowed', detail: method }
  if (scheme !== 'http' && scheme !== 'https') return refused('another scheme')
  if (authority !== undefined && host !== undefined && authority !== host) return refused('two hosts')
  const named = authority ?? host
  if (named === undefined) return refused('no host')
  if (length !== undefined && !/^\d+$/.test(length)) return refused('a length that is no number')
  return {
    ...{ method, target, hasLength: length !== undefined },
    fields: ['host', named, ...fields, ...(length === undefined ? [] : ['content-length', length])],
  }
}
