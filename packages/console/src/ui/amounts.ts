/** Exact decimals: an amount is text, and never becomes a float. */
interface Decimal {
  units: bigint
  /** How many digits stand after the point. */
  scale: number
}

function read(text: string): Decimal {
  const [, sign = '', whole = '0', decimals = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? []
  const units = BigInt(whole + decimals)
  return { units: sign === '' ? units : -units, scale: decimals.length }
}

function write({ units, scale }: Decimal): string {
  const digits = String(units < 0n ? -units : units).padStart(scale + 1, '0')
  const [whole, decimals] = scale === 0 ? [digits, ''] : [digits.slice(0, -scale), `.${digits.slice(-scale)}`]
  return `${units < 0n ? '-' : ''}${whole}${decimals}`
}

const microsScale = 6

/** An amount in millionths, exactly. */
export function micros(amount: string | number): bigint {
  const { units, scale } = read(String(amount))
  return scale > microsScale ? units / 10n ** BigInt(scale - microsScale) : units * 10n ** BigInt(microsScale - scale)
}

/** The amount again, without zeros at its end. */
export const amountOf = (units: bigint): string => write({ units, scale: microsScale }).replace(/\.?0+$/, '')

/** Half of a decimal that is not negative, exactly or rounded down. It has the same digits after the point; one digit if it had none and is odd. */
export function half(decimal: string): string {
  const { units, scale } = read(decimal)
  return scale === 0 && units % 2n === 1n ? write({ units: units * 5n, scale: 1 }) : write({ units: units / 2n, scale })
}
