const scale = 6

/** An amount in millionths, exactly. */
export function micros(amount: string | number): bigint {
  const [, sign = '', whole = '0', decimals = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(amount)) ?? []
  const units = BigInt(whole + decimals.slice(0, scale).padEnd(scale, '0'))
  return sign === '' ? units : -units
}

/** The amount again, without zeros at its end. */
export function amountOf(units: bigint): string {
  const digits = String(units < 0n ? -units : units).padStart(scale + 1, '0')
  const decimals = digits.slice(-scale).replace(/0+$/, '')
  return `${units < 0n ? '-' : ''}${digits.slice(0, -scale)}${decimals === '' ? '' : `.${decimals}`}`
}
