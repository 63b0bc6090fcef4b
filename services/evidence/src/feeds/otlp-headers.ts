import { readSecretFile } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'

const setting = 'BAILIWICK_SINK_OTLP_HEADERS_FILE'
/** RFC 9110 §5.6.2 and §5.5, without the headers that only the message itself may set. */
const name = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/
const value = /^[\x21-\x7e]([\x20-\x7e]{0,4094}[\x21-\x7e])?$/
const ours = new Set([
  'host',
  'connection',
  'content-length',
  'content-type',
  'content-encoding',
  'transfer-encoding',
  'expect',
  'upgrade',
  'te',
  'trailer',
])
const mostHeaders = 16

/**
 * Headers for an endpoint, one per line: `authorization: Bearer …`. Throws `config_invalid` with the number of the line, but none of its
 * content. The file is read anew for each request, so that a token can be replaced.
 */
export async function readOtlpHeaders(path: string): Promise<Record<string, string>> {
  const text = readSecretFile(path, { setting }).toString()
  const headers: Record<string, string> = {}
  for (const [n, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue
    const colon = line.indexOf(':')
    const [key, said] = [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()]
    if (colon < 1 || !name.test(key) || !value.test(said) || ours.has(key) || Object.hasOwn(headers, key))
      throw new ServiceError('config_invalid', `${setting}: line ${n + 1} is not a header that may be set: name: value`)
    headers[key] = said
  }
  if (Object.keys(headers).length > mostHeaders)
    throw new ServiceError('config_invalid', `${setting}: more than ${mostHeaders} headers`)
  return headers
}
