/** An exact decimal, `units` × 10^-`scale`. Floats are never used: 0.1 + 0.2 must not decide what is allowed. */
export interface Decimal {
  readonly units: bigint
  readonly scale: number
}

/** The most digits that a decimal may have, counting those before and after the point. */
const maxDigits = 38
const decimalText = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?$/
const numberText = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,3}))?$/

/**
 * Parses a decimal string: `-?(0|[1-9][0-9]*)(\.[0-9]+)?`, at most 38 digits. Everything else (`1e2`, `+1`, `.5`, `007`, `NaN`, white
 * space, non-ASCII digits) gives undefined.
 */
export function parseDecimal(text: string): Decimal | undefined {
  return read(decimalText.exec(text))
}

/**
 * Parses the source text of a JSON number (RFC 8259 §6), exponent included, exactly. undefined if it is not one, or if it has, or without
 * an exponent would need, more than 38 digits.
 */
export function parseNumberText(text: string): Decimal | undefined {
  return read(numberText.exec(text))
}

/**
 * The decimal of a parsed JSON value: a decimal string, or a number that certainly equals its source text. A double has lost that text. Up
 * to 15 significant digits, and for integers up to 2^53 - 1, its shortest text is the only one of that length that reads as it. Beyond
 * that, two readers may disagree on the value, so the result is undefined.
 */
export function decimalOf(value: unknown): Decimal | undefined {
  if (typeof value === 'string') return parseDecimal(value)
  if (typeof value !== 'number') return undefined
  if (Number.isInteger(value)) return Number.isSafeInteger(value) ? { units: BigInt(value), scale: 0 } : undefined
  const decimal = parseNumberText(String(value))
  return decimal === undefined || magnitude(decimal.units) >= 10n ** 15n ? undefined : decimal
}

/** Negative, zero or positive if `a` is below, equal to or above `b`. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  const scale = Math.max(a.scale, b.scale)
  const difference = a.units * 10n ** BigInt(scale - a.scale) - b.units * 10n ** BigInt(scale - b.scale)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

/** The canonical text of a value: `500`, `500.0` and `5e2` give the same, `-0` gives `0`. */
export function canonicalDecimal({ units, scale }: Decimal): string {
  if (scale === 0) return String(units)
  const digits = String(magnitude(units)).padStart(scale + 1, '0')
  const fraction = digits.slice(-scale).replace(/0+$/, '')
  const whole = digits.slice(0, -scale)
  return `${units < 0n ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`
}

/** Amounts of money are counted in millionths of their unit: this is the last digit that an amount may have. */
const microsScale = 6

/** A non-negative amount in micros (10^-6); undefined for a negative amount, and for one written with more than 6 fraction digits. */
export function toMicros({ units, scale }: Decimal): bigint | undefined {
  return units < 0n || scale > microsScale ? undefined : units * 10n ** BigInt(microsScale - scale)
}

/** The micros of an amount as written in a budget (`"2000.00"` gives 2000000000n); undefined if it is not an amount. */
export function parseMicros(text: string): bigint | undefined {
  const decimal = parseDecimal(text)
  return decimal === undefined ? undefined : toMicros(decimal)
}

/** Writes micros as the shortest decimal string: the inverse of `parseMicros`. */
export function formatMicros(micros: bigint): string {
  return canonicalDecimal({ units: micros, scale: microsScale })
}

function magnitude(units: bigint): bigint {
  return units < 0n ? -units : units
}

function read(match: RegExpExecArray | null): Decimal | undefined {
  if (match === null) return undefined
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match
  const shift = Number(exponent)
  // Bounded before it becomes a power: refusing 1e999 must not cost a thousand digits.
  if (whole.length + fraction.length > maxDigits || Math.abs(shift) > maxDigits) return undefined
  const scale = Math.max(0, fraction.length - shift)
  const units = BigInt(`${sign}${whole}${fraction}`) * 10n ** BigInt(Math.max(0, shift - fraction.length))
  return scale >= maxDigits || magnitude(units) >= 10n ** BigInt(maxDigits) ? undefined : { units, scale }
}
