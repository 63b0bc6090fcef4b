// Numbers as in DESIGN §7.1: decimal strings and JSON numbers, compared exactly. The fixed point is far beyond the 38
// digits that a decimal may have, so every comparison is one of two integers.

const places = 45
const one = 10n ** BigInt(places)

/** A decimal string in fixed point; undefined when the text is not one, or has more than 38 digits. */
export function decimalText(text: string): bigint | undefined {
  if (!/^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/.test(text)) return undefined
  if (text.replace(/[-.]/g, '').length > 38) return undefined
  const [whole = '', fraction = ''] = text.replace('-', '').split('.')
  const size = BigInt(whole) * one + BigInt(fraction.padEnd(places, '0'))
  return text.startsWith('-') ? -size : size
}

/**
 * A parsed JSON value as a number: a decimal string, or a double that every reader reads alike (a safe integer, or at
 * most 15 significant digits).
 */
export function numberIn(value: unknown): bigint | undefined {
  if (typeof value === 'string') return decimalText(value)
  if (typeof value !== 'number') return undefined
  if (Number.isInteger(value)) return Number.isSafeInteger(value) ? BigInt(value) * one : undefined
  const significant = value.toExponential().replace(/e.*$/, '').replace(/[-.]/g, '')
  return significant.length > 15 ? undefined : decimalText(withoutExponent(value))
}

/** Millionths of a non-negative amount, written with at most six digits after the point. */
export function millionths(value: unknown): bigint | undefined {
  const number = numberIn(value)
  if (number === undefined || number < 0n) return undefined
  const written = typeof value === 'number' ? withoutExponent(value) : String(value)
  return (written.split('.')[1] ?? '').length > 6 ? undefined : number / 10n ** BigInt(places - 6)
}

function withoutExponent(value: number): string {
  const [digits = '', exponent] = String(value).split('e')
  if (exponent === undefined) return digits
  const shift = -Number(exponent)
  if (shift < 0) return String(BigInt(value))
  const [whole = '', fraction = ''] = digits.replace('-', '').split('.')
  return `${value < 0 ? '-' : ''}0.${'0'.repeat(shift - 1)}${whole}${fraction}`
}
