import { parseUrl } from './parse-url.ts'

/**
 * Normalises a target URI, so that two spellings of one URI become the same text (RFC 9449 §4.3 check 9, RFC 3986 §6.2.2 and §6.2.3):
 * scheme and host in lower case, no default port, no dot segments, percent-encoding in upper case and only where needed, without query and
 * fragment. undefined unless it is an absolute http(s) URI without user information.
 */
export function normalizeHtu(uri: string): string | undefined {
  // The WHATWG parser repairs what RFC 3986 does not allow (backslashes, white space, a missing slash). Such text is refused first, so that
  // parser and peer cannot understand it differently.
  if (typeof uri !== 'string' || uri.length > 8192 || !absoluteHttpUri.test(uri)) return undefined
  const url = parseUrl(uri)
  if (url === null) return undefined
  return `${url.protocol}//${url.host}${url.pathname.replace(/%[0-9a-f]{2}/gi, normalizeOctet)}`
}

const absoluteHttpUri =
  /^https?:\/\/[A-Za-z0-9.\-_~[\]:]+(\/([A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9a-f]{2})*)?(\?[\x21-\x7e]*)?(#[\x21-\x7e]*)?$/i

/** An unreserved character stands for itself; any other octet keeps its encoding, in upper case: `%2f` is not `/`. */
function normalizeOctet(encoded: string): string {
  const char = String.fromCharCode(Number.parseInt(encoded.slice(1), 16))
  return /[A-Za-z0-9\-._~]/.test(char) ? char : encoded.toUpperCase()
}
