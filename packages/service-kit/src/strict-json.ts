import { parseJson } from '@bailiwick/contracts'

/**
 * JSON as an edge must read it (DESIGN §9; RFC 8259 and, where that leaves a choice, I-JSON, RFC 7493): one text has one
 * meaning, whoever reads it. JSON.parse alone takes the last of two equal keys, lone surrogates and numbers that it
 * rounds; a reader behind us that takes the first key or the exact number would act on something else than was decided.
 */
export interface StrictJsonOptions {
  /** Over it: `body_too_large`. */
  maxBytes: number
  /** How many arrays and objects may stand inside each other; 32 unless told. */
  maxDepth?: number
  /**
   * Refuses a number whose decimal text is not the number that JavaScript (and RFC 8785) would write for it, and integers
   * beyond ±(2^53 - 1): `9007199254740993`, `500.00000000000000001`, `1e400`. On unless told; what JSON.stringify
   * writes from a safe number always passes, and so does another spelling of it, such as `1.50` or `2E3`.
   */
  exactNumbers?: boolean
  /**
   * Integers beyond ±(2^53 - 1), of up to 20 characters, become bigint, digit for digit, instead of being refused. What is written
   * with a fraction or an exponent is never an integer: it becomes NaN where a double would make it one, `1.0` and
   * `0.99999999999999999999` alike. Other numbers may be rounded. For values that are judged and not passed on.
   */
  bigIntegers?: boolean
}

/** `detail` says what is wrong and where, never what the text holds. */
export type StrictJson =
  | { ok: true; value: unknown }
  | { ok: false; code: 'json_malformed' | 'body_too_large'; detail: string }

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads UTF-8 bytes: no byte order mark, no overlong form, no encoded surrogate; then as `parseStrictJsonText`. Never
 * throws, whatever the bytes; takes time and memory in proportion to their number.
 */
export function parseStrictJson(bytes: Uint8Array, options: StrictJsonOptions): StrictJson {
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
export function parseStrictJsonText(text: string, options: StrictJsonOptions): StrictJson {
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
  const scanned = scan(text, maxDepth, exactNumbers)
  if (typeof scanned === 'string') return malformed(scanned)
  let value: unknown
  try {
    value = bigIntegers && !scanned.areSmall ? parseJson(text, wholeAsWritten) : parseJson(text)
  } catch {
    return malformed('not JSON') // the message of a SyntaxError quotes the text
  }
  const kept = count(value, text.includes('\\u'))
  if (typeof kept === 'string') return malformed(kept)
  // JSON.parse keeps one of several equal keys: then fewer members are in the value than in the text.
  return kept === scanned.members ? { ok: true, value } : malformed('a key that appears twice in one object')
}

/** A reviver, with its source text as ECMAScript has it and TypeScript's library does not yet. */
function wholeAsWritten(_: string, value: unknown, { source = '' }: { source?: string }): unknown {
  if (typeof value !== 'number') return value
  if (!/^-?\d+$/.test(source)) return Number.isSafeInteger(value) ? Number.NaN : value
  return Number.isSafeInteger(value) || source.length > 20 ? value : BigInt(source)
}

interface Scanned {
  /** Colons outside strings. */
  members: number
  /** Whether every number is an integer of so few digits that a double holds it as it is written. */
  areSmall: boolean
}

/**
 * One pass over the text: what is in it, or why it is refused. Only needs to be right about JSON: whatever else the text may be,
 * JSON.parse refuses it afterwards.
 */
function scan(text: string, maxDepth: number, exactNumbers: boolean): Scanned | string {
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
    } else if (char === 0x2d || (char >= 0x30 && char <= 0x39)) {
      const start = at
      while (isNumberPart(text.charCodeAt(at + 1))) at++
      const token = text.slice(start, at + 1)
      if (exactNumbers && !isExact(token)) return `a number that is not exact at character ${start}`
      areSmall &&= /^-?\d{1,15}$/.test(token)
    }
  }
  return { members, areSmall }
}

/** Where the closing quote is, or -1. A quote closes the string unless an odd number of backslashes stands before it. */
function endOfString(text: string, open: number): number {
  for (let quote = text.indexOf('"', open + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let before = quote - 1
    while (text.charCodeAt(before) === 0x5c) before--
    if ((quote - before) % 2 === 1) return quote
  }
  return -1
}

/** Digits, `+`, `-`, `.`, `E`, `e`. At the end of the text the code is NaN. */
function isNumberPart(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) || code === 0x2e || code === 0x65 || code === 0x45 || code === 0x2d || code === 0x2b
  )
}

/** Whether the number is the one that JavaScript would write for it. Texts that are no number may get either answer. */
function isExact(token: string): boolean {
  // Up to 15 significant digits always survive the way through a double.
  if (token.length <= 15 && !/e/i.test(token)) return true
  const value = Number(token)
  if (!Number.isFinite(value)) return false
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return false
  const written = String(value)
  return token === written || decimal(token) === decimal(written)
}

/** The number's sign, significant digits and power of ten: equal for equal numbers, however they are written. */
function decimal(token: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token) ?? []
  const digits = (whole + fraction).replace(/^0+/, '')
  // From the first zero of a run alone: else a long run that does not end it is looked through once for each of its zeros.
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
  for (const [key, item] of Object.entries(value)) {
    // Own data here, but a prototype for whoever copies it by assignment.
    if (key === '__proto__') return 'the key __proto__'
    if (escaped && !key.isWellFormed()) return 'a lone surrogate'
    const inner = count(item, escaped)
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
