/**
 * A number as the console writes it everywhere: digits in threes, and a point before decimals, as in the lines that people sign. It is
 * exact: a decimal is text, and never becomes a float.
 */
export function number(value: number | string): string {
  const [, sign = '', whole = '', decimals = ''] = /^(-?)(\d+)(\.\d+)?$/.exec(String(value)) ?? []
  return whole === '' ? String(value) : `${sign}${whole.replace(/\B(?=(\d{3})+$)/g, ',')}${decimals}`
}

/** An amount with as many decimals as the limit that it is compared with: `120` of `2000.00` is `120.00`. */
export function like(value: number | string, limit: number | string): string {
  const wanted = /\.(\d+)$/.exec(String(limit))?.[1]?.length ?? 0
  const [whole = '', decimals = ''] = String(value).split('.')
  return wanted <= decimals.length ? String(value) : `${whole}.${decimals.padEnd(wanted, '0')}`
}

export const money = (amount: number | string, currency: string): string => `${number(amount)} ${currency}`
