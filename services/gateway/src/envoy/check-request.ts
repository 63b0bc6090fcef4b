import type { RawHeaders, Refused } from '@bailiwick/relay'
import type { Asking } from '../authorize/asked-about.ts'
import { Message } from './protobuf.ts'

/** The attributes of an HTTP request in Envoy's `AttributeContext.HttpRequest`. */
const http = { method: 2, headers: 3, path: 4, host: 5, query: 7, fragment: 8, body: 11, rawBody: 12, headerMap: 13 }
const header = { key: 1, value: 2, rawValue: 3 }

/**
 * The request that Envoy asks about, in a `CheckRequest`. It must tell of header fields one by one (`encode_raw_headers`): otherwise Envoy
 * joins fields of one name, and replaces bytes in them. For the same reason it must show the body as bytes (`pack_as_bytes`). What the
 * message says twice, as an attribute and as a header field, must be equal. Throws `request_malformed` for what is no such message.
 */
export function askingIn(message: Uint8Array): Asking | Refused {
  const request = new Message(message, [1]).message(1, [4])?.message(4, [2])?.message(2, Object.values(http))
  if (request === undefined) return malformed('no attributes of an HTTP request')
  if (request.has(http.headers)) return malformed('header fields that Envoy joined: set encode_raw_headers')
  if (request.text(http.query) !== '' || request.text(http.fragment) !== '')
    return malformed('a query or a fragment beside the path')
  if (request.has(http.body))
    return { refused: 'body_not_shown', detail: 'Envoy shows the body as text: set pack_as_bytes' }
  const fields = fieldsIn(request.message(http.headerMap, [1])?.all(1) ?? [])
  if ('refused' in fields) return fields
  const [method, target, host] = [request.text(http.method), request.text(http.path), request.text(http.host)]
  const { pseudo, rawHeaders } = fields
  const said: Readonly<Record<string, string>> = { ':method': method, ':path': target, ':authority': host }
  for (const [name, value] of Object.entries(said))
    if (pseudo.get(name) !== value) return malformed(`${name} is another one than the attribute`)
  return {
    ...{ method, target },
    rawHeaders: ['Host', host, ...rawHeaders],
    body: request.bytes(http.rawBody) ?? new Uint8Array(),
  }
}

const pseudoFields: ReadonlySet<string> = new Set([':method', ':path', ':authority', ':scheme'])

/** Header fields in order, with each byte as one character, as Node has them too. Those of HTTP/2 that begin with a colon are apart. */
function fieldsIn(
  entries: readonly Uint8Array[],
): { pseudo: ReadonlyMap<string, string>; rawHeaders: RawHeaders } | Refused {
  const pseudo = new Map<string, string>()
  const rawHeaders: string[] = []
  for (const bytes of entries) {
    const entry = new Message(bytes, Object.values(header))
    if (entry.has(header.value)) return malformed('a header field as text: set encode_raw_headers')
    const name = Buffer.from(entry.bytes(header.key) ?? []).toString('latin1')
    const value = Buffer.from(entry.bytes(header.rawValue) ?? []).toString('latin1')
    if (!name.startsWith(':')) rawHeaders.push(name, value)
    else if (!pseudoFields.has(name)) return { refused: 'header_forbidden', detail: 'a pseudo-header field' }
    else if (pseudo.has(name)) return { refused: 'header_repeated', detail: name }
    else pseudo.set(name, value)
  }
  return { pseudo, rawHeaders }
}

const malformed = (detail: string): Refused => ({ refused: 'request_malformed', detail })
