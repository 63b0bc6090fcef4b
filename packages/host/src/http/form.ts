/** `detail` says what is wrong, never a parameter's value. */
export type Form =
  | { ok: true; value: Record<string, string> }
  | { ok: false; code: 'request_malformed'; detail: string }

export interface FormLimits {
  /** The most parameters in one form. */
  maxParameters: number
  /** The most characters of one value, decoded. */
  maxValueLength: number
}

/** Room for RFC 9396 authorization details and a client assertion, within the body's own limit. */
export const formLimits: FormLimits = { maxParameters: 64, maxValueLength: 32_768 }

const NAME = /^[A-Za-z0-9._-]{1,64}$/

/**
 * Reads `application/x-www-form-urlencoded` as RFC 6749 (appendix B, and §3.2: no parameter more than once) needs it: ASCII,
 * complete percent escapes of valid UTF-8, plain names, no empty value. Two readers that pick different ones of two equal
 * parameters, or decode a broken escape differently, would otherwise authenticate one thing and act on another.
 */
export function parseForm(bytes: Uint8Array, limits: FormLimits = formLimits): Form {
  if (bytes.length === 0) return refused('an empty form')
  const text = Buffer.from(bytes).toString('latin1')
  // Printable ASCII: every other character must be escaped.
  if (/[^\x21-\x7e]/.test(text)) return refused('a character that must be escaped')
  const value = new Map<string, string>()
  for (const pair of text.split('&', limits.maxParameters + 1)) {
    if (value.size === limits.maxParameters) return refused(`more than ${limits.maxParameters} parameters`)
    const equals = pair.indexOf('=')
    const name = equals < 0 ? pair : pair.slice(0, equals)
    if (!NAME.test(name) || name === '__proto__') return refused('a parameter whose name is not plain')
    const decoded = decode(pair.slice(name.length + 1))
    if (decoded === undefined) return refused(`${name}: a broken escape`)
    if (decoded === '') return refused(`${name}: empty`)
    if (decoded.length > limits.maxValueLength) return refused(`${name}: more than ${limits.maxValueLength} characters`)
    if (value.has(name)) return refused(`${name}: given more than once`)
    value.set(name, decoded)
  }
  return { ok: true, value: Object.fromEntries(value) }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}

const refused = (detail: string): Form => ({ ok: false, code: 'request_malformed', detail })
