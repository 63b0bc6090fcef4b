import type { RawHeaders } from '@bailiwick/kit'

/**
 * Fields of one hop, fields that `fetch` makes itself, those that only the sidecar may set, and keys of other services: a client sends a
 * placeholder, or by mistake a real one.
 */
const notForwarded = new Set(
  'connection keep-alive proxy-connection proxy-authorization te trailer transfer-encoding upgrade expect host origin content-length accept-encoding authorization cookie dpop bailiwick-call-id mcp-session-id x-api-key api-key'.split(
    ' ',
  ),
)
/** A challenge is for the sidecar: its client has nothing to answer it with. */
const notReturned = new Set(
  'connection keep-alive transfer-encoding content-length content-encoding date www-authenticate dpop-nonce set-cookie mcp-session-id'.split(
    ' ',
  ),
)

/** The fields of a client's request that go on to the gateway, each as often as it came. */
export function forwardedFields(raw: RawHeaders): Headers {
  const headers = new Headers({ 'accept-encoding': 'identity' })
  for (let n = 0; n < raw.length; n += 2) {
    const [name = '', value = ''] = raw.slice(n, n + 2)
    if (!notForwarded.has(name.toLowerCase())) headers.append(name, value)
  }
  return headers
}

/** The fields of an answer that go back to the client. */
export const returnedFields = (headers: Headers): string[] =>
  [...headers].filter(([name]) => !notReturned.has(name)).flat()
