import type { RawHeaders, Refused } from '../upstream.ts'
import { refuse } from './refuse.ts'

/** A token (RFC 9110 §5.6.2) without `_`, which CGI and others treat like `-`. */
const token = /^[!#$%&'*+.^`|~0-9A-Za-z-]+$/
/** Visible ASCII and spaces. Servers read a tab, or a byte above ASCII, in different ways. */
const value = /^[\x20-\x7e]*$/
/** One media type, with parameters (RFC 9110 §8.3.1). */
const mediaType = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?: ?; ?[\w!#$&^.+-]+=(?:[\w!#$&^.+-]+|"[^"\\]*"))*$/

/** Each of these would change what the upstream does in a way that no action names, or only some servers would read it. */
const forbidden: ReadonlySet<string> = new Set([
  'expect',
  'upgrade',
  'http2-settings',
  'trailer',
  'range',
  'if-range',
  'content-range',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-method',
  'x-original-uri',
  'x-original-url',
  'x-rewrite-url',
])

/** The relay drops these: framing, hop-by-hop fields, the caller's credential and proof, and fields that proxies on the way add. */
const taken: ReadonlySet<string> = new Set([
  'authorization',
  'bailiwick-call-id',
  'connection',
  'content-length',
  'cookie',
  'dpop',
  'forwarded',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'via',
  'x-real-ip',
])
const addedByProxies = /^(?:forwarded|via|x-forwarded-.*)$/
/** Only the point itself writes these fields, such as the id of its decision: an API or a log could mistake a caller's field for it. */
const written = /^bailiwick-(?!call-id$)/

const connectionOptions: ReadonlySet<string> = new Set(['close', 'keep-alive', 'te'])

/**
 * The fields that may be passed on, or why these header fields have more than one reading. Names and values alternate, as received; Node has
 * removed the spaces around values.
 */
export function checkHeaders(rawHeaders: RawHeaders): { headers: RawHeaders } | Refused {
  const fields = new Map<string, string>()
  const headers: string[] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const [name = '', text = ''] = [rawHeaders[at], rawHeaders[at + 1]]
    const lower = name.toLowerCase()
    if (!token.test(name)) return refuse('header_name_forbidden', 'a header field')
    if (!value.test(text)) return refuse('header_value_forbidden', lower)
    if (forbidden.has(lower) || written.test(lower)) return refuse('header_forbidden', lower)
    if (addedByProxies.test(lower)) continue
    if (fields.has(lower)) {
      const isFraming = lower === 'content-length' || lower === 'transfer-encoding'
      return refuse(isFraming ? 'header_framing_ambiguous' : 'header_repeated', lower)
    }
    fields.set(lower, text)
    if (!taken.has(lower)) headers.push(name, text)
  }
  return checkFraming(fields) ?? checkMeaning(fields) ?? { headers: Object.freeze(headers) }
}

function checkFraming(fields: ReadonlyMap<string, string>): Refused | undefined {
  const [length, coding] = [fields.get('content-length'), fields.get('transfer-encoding')]
  if (length !== undefined && coding !== undefined)
    return refuse('header_framing_ambiguous', 'both content-length and transfer-encoding')
  if (length !== undefined && !/^\d{1,15}$/.test(length)) return refuse('header_framing_ambiguous', 'content-length')
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return refuse('header_framing_ambiguous', 'transfer-encoding')
  return undefined
}

function checkMeaning(fields: ReadonlyMap<string, string>): Refused | undefined {
  const options = listOf(fields.get('connection'))
  if (!options.every((option) => connectionOptions.has(option)))
    return refuse('header_connection_forbidden', 'connection')
  if (!listOf(fields.get('te')).every((coding) => coding === 'trailers')) return refuse('header_te_forbidden', 'te')
  const encoding = fields.get('content-encoding')
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity')
    return refuse('content_encoding_forbidden', 'content-encoding')
  const type = fields.get('content-type')
  if (type !== undefined && !mediaType.test(type)) return refuse('header_value_forbidden', 'content-type')
  return undefined
}

const listOf = (text: string | undefined): string[] =>
  text === undefined ? [] : text.split(',').map((each) => each.trim().toLowerCase())

/** The value of a field that comes at most once in checked header fields. */
export function fieldOf(headers: RawHeaders, name: string): string | undefined {
  for (let at = 0; at + 1 < headers.length; at += 2) if (headers[at]?.toLowerCase() === name) return headers[at + 1]
  return undefined
}
