import type { Long } from './values.ts'

const [least, most] = [-(2n ** 63n), 2n ** 63n - 1n]

/** undefined: it does not fit in 64 bits. */
export function longOf(exact: bigint): Long | undefined {
  if (exact < least || exact > most) return undefined
  const double = Number(exact)
  return Number.isSafeInteger(double) ? double : exact
}

/** undefined, also from the others: the result overflows. */
export function sum(a: Long, b: Long): Long | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    const double = a + b
    if (Number.isSafeInteger(double)) return double
  }
  return longOf(BigInt(a) + BigInt(b))
}

export function difference(a: Long, b: Long): Long | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    const double = a - b
    if (Number.isSafeInteger(double)) return double
  }
  return longOf(BigInt(a) - BigInt(b))
}

export function product(a: Long, b: Long): Long | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    // A product beyond 53 bits is not rounded to one within them.
    const double = a * b
    if (Number.isSafeInteger(double)) return double
  }
  return longOf(BigInt(a) * BigInt(b))
}

/** Towards zero. */
export function quotient(a: Long, b: number): Long {
  // A quotient of a Long fits.
  return typeof a === 'number' ? Math.trunc(a / b) : (longOf(a / BigInt(b)) as Long)
}

/** Never negative; `b` is positive. */
export function remainder(a: Long, b: number): number {
  const rest = typeof a === 'number' ? a % b : Number(a % BigInt(b))
  return rest < 0 ? rest + b : rest
}
