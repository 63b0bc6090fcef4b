import { endOfString, parseJson } from './parse-json.ts'

/**
 * JSON as an edge must read it (DESIGN §9; RFC 8259 and, where that leaves a choice, I-JSON, RFC 7493): one text has one meaning for
 * every reader. JSON.parse alone accepts the last of two equal keys, lone surrogates, and numbers that it rounds. A later reader
 * that takes the first key or the exact number would then act on something other than what was decided.
 */
export interface StrictJsonOptions {
  /** Larger texts give `body_too_large`. */
  maxBytes: number
  /** How deeply arrays and objects may be nested. Default: 32. */
  maxDepth?: number
  /**
   * Refuses a number whose decimal text is not the number that JavaScript (and RFC 8785) would write for it, and integers
   * beyond ±(2^53 - 1): `9007199254740993`, `500.00000000000000001`, `1e400`. Default: on. Everything that JSON.stringify
   * writes from a safe number passes, and so does another spelling of it, such as `1.50` or `2E3`.
   */
  exactNumbers?: boolean
  /**
   * Integers beyond ±(2^53 - 1), of up to 20 characters, become bigint, digit for digit, instead of being refused. A number written
   * with a fraction or an exponent is never an integer: it becomes NaN where a double would make it one, `1.0` and
   * `0.99999999999999999999` alike. Other numbers may be rounded. For values that are judged but not passed on.
   */
  bigIntegers?: boolean
}

/** `detail` says what is wrong and where, never the text's content. */
export type StrictJson =
  | { ok: true; value: unknown }
  | { ok: false; code: 'json_malformed' | 'body_too_large'; detail: string }

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads UTF-8 bytes: no byte order mark, no overlong form, no encoded surrogate. Then continues as `readStrictJsonText`. Never
 * throws, for any bytes. Takes time and memory in proportion to their number.
 */
export function readStrictJson(bytes: Uint8Array, options: StrictJsonOptions): StrictJson {
  if (bytes.length > options.maxBytes) return tooLarge(options.maxBytes)
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch {
    return malformed('not UTF-8')
  }
  return parse(text, options)
}

/** Reads a text: no equal keys in one object (compared unescaped), no `__proto__`, no lone surrogate, bounded depth. */
export function readStrictJsonText(text: string, options: StrictJsonOptions): StrictJson {
  // A UTF-16 unit takes 1 to 3 bytes, so most texts need no count.
  if (text.length > options.maxBytes) return tooLarge(options.maxBytes)
  if (text.length * 3 > options.maxBytes && Buffer.byteLength(text) > options.maxBytes)
    return tooLarge(options.maxBytes)
  if (!text.isWellFormed()) return malformed('a lone surrogate')
  return parse(text, options)
}

function parse(text: string, options: StrictJsonOptions): StrictJson {
  const { maxDepth = 32, bigIntegers = false, exactNumbers = !bigIntegers } = options
  if (text.charCodeAt(0) === 0xfeff) return malformed('a byte order mark')
  const scanned = scan(text, { maxDepth, exactNumbers, bigIntegers })
  if (typeof scanned === 'string') return malformed(scanned)
  let value: unknown
  try {
    value = bigIntegers && !scanned.areSmall ? parseJson(text, wholeAsWritten) : parseJson(text)
  } catch {
    return malformed('not JSON') // the message of a SyntaxError quotes the text
  }
  const kept = count(value, text.includes('\\u'))
  if (typeof kept === 'string') return malformed(kept)
  // JSON.parse keeps one of several equal keys. Then the value has fewer members than the text.
  return kept === scanned.members ? { ok: true, value } : malformed('a duplicate key')
}

/** A reviver that takes the source text, which ECMAScript has and TypeScript's library does not have yet. */
function wholeAsWritten(_: string, value: unknown, { source = '' }: { source?: string }): unknown {
  if (typeof value !== 'number') return value
  if (!/^-?\d+$/.test(source)) return Number.isSafeInteger(value) ? Number.NaN : value
  return Number.isSafeInteger(value) || source.length > 20 ? value : BigInt(source)
}

interface Scanned {
  /** Colons outside strings. */
  members: number
  /** Whether every number is an integer with so few digits that a double holds it as written. Known only for `bigIntegers`. */
  areSmall: boolean
}

/**
 * One pass over the text: what it contains, or why it is refused. It only needs to be right for JSON: JSON.parse refuses every other text
 * afterwards.
 */
function scan(
  text: string,
  { maxDepth, exactNumbers, bigIntegers }: { maxDepth: number; exactNumbers: boolean; bigIntegers: boolean },
): Scanned | string {
  const readsNumbers = exactNumbers || bigIntegers
  let members = 0
  let depth = 0
  let areSmall = true
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char === 0x22) {
      at = endOfString(text, at)
      if (at < 0) return 'not JSON'
    } else if (char === 0x3a) {
      members++
    } else if (char === 0x7b || char === 0x5b) {
      if (++depth > maxDepth) return `more than ${maxDepth} levels at character ${at}`
    } else if (char === 0x7d || char === 0x5d) {
      depth--
    } else if (readsNumbers && (char === 0x2d || (char >= 0x30 && char <= 0x39))) {
      const start = at
      while (isNumberPart(text.charCodeAt(at + 1))) at++
      const token = text.slice(start, at + 1)
      if (exactNumbers && !isExact(token)) return `a number that is not exact at character ${start}`
      areSmall &&= /^-?\d{1,15}$/.test(token)
    }
  }
  return { members, areSmall }
}

/** Digits, `+`, `-`, `.`, `E`, `e`. At the end of the text the code is NaN. */
function isNumberPart(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) || code === 0x2e || code === 0x65 || code === 0x45 || code === 0x2d || code === 0x2b
  )
}

/** Whether the number is the one that JavaScript would write for it. For texts that are not numbers, either result is fine. */
function isExact(token: string): boolean {
  // Up to 15 significant digits always survive the round trip through a double.
  if (token.length <= 15 && !/e/i.test(token)) return true
  const value = Number(token)
  if (!Number.isFinite(value)) return false
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return false
  const written = String(value)
  return token === written || decimal(token) === decimal(written)
}

/** The number's sign, significant digits and power of ten. Equal numbers give equal results, however they are written. */
function decimal(token: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token) ?? []
  const digits = (whole + fraction).replace(/^0+/, '')
  // From the first zero of a run only. Otherwise a long run that is not at the end would be scanned once for each of its zeros.
  const significant = digits.replace(/(?<!0)0+$/, '')
  if (significant === '') return '0'
  return `${sign}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`
}

/** The number of own keys in the value at all depths, or why it is refused. Its depth is bounded by `scan`. */
function count(value: unknown, escaped: boolean): number | string {
  if (typeof value === 'string') return !escaped || value.isWellFormed() ? 0 : 'a lone surrogate'
  if (typeof value !== 'object' || value === null) return 0
  let sum = 0
  if (Array.isArray(value)) {
    for (const item of value) {
      const inner = count(item, escaped)
      if (typeof inner === 'string') return inner
      sum += inner
    }
    return sum
  }
  for (const key of Object.keys(value)) {
    // An own property here, but it sets the prototype of any copy made by assignment.
    if (key === '__proto__') return 'the key __proto__'
    if (escaped && !key.isWellFormed()) return 'a lone surrogate'
    const inner = count((value as Readonly<Record<string, unknown>>)[key], escaped)
    if (typeof inner === 'string') return inner
    sum += inner + 1
  }
  return sum
}

const malformed = (detail: string): StrictJson => ({ ok: false, code: 'json_malformed', detail })
const tooLarge = (maxBytes: number): StrictJson => ({
  ok: false,
  code: 'body_too_large',
  detail: `more than ${maxBytes} bytes`,
})
