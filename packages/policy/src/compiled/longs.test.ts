import { expect, it } from 'vitest'
import { difference, longOf, product, quotient, remainder, sum } from './longs.ts'

const edges = [
  0n,
  1n,
  2n,
  7n,
  1000n,
  2n ** 31n,
  3037000499n,
  3037000500n,
  2n ** 52n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 62n,
  2n ** 63n - 1n,
  2n ** 63n,
]
const exact = [...edges, ...edges.map((edge) => -edge)]
const longs = exact.map(longOf).filter((long) => long !== undefined)

it('is a number within 53 bits, a bigint within 64, and nothing beyond', () => {
  expect(longOf(2n ** 53n - 1n)).toBe(Number.MAX_SAFE_INTEGER)
  expect(longOf(2n ** 53n)).toBe(2n ** 53n)
  expect(longOf(-(2n ** 53n) + 1n)).toBe(Number.MIN_SAFE_INTEGER)
  expect(longOf(-(2n ** 53n))).toBe(-(2n ** 53n))
  expect(longOf(2n ** 63n - 1n)).toBe(2n ** 63n - 1n)
  expect(longOf(-(2n ** 63n))).toBe(-(2n ** 63n))
  expect(longOf(2n ** 63n)).toBeUndefined()
  expect(longOf(-(2n ** 63n) - 1n)).toBeUndefined()
})

it.each([
  ['adds', sum, (a: bigint, b: bigint) => a + b],
  ['subtracts', difference, (a: bigint, b: bigint) => a - b],
  ['multiplies', product, (a: bigint, b: bigint) => a * b],
] as const)('%s exactly, or tells that the result overflows', (_, operate, expected) => {
  // Zero has no sign here: -0 is equal to 0 wherever a Long is compared.
  for (const a of longs)
    for (const b of longs) expect([a, b, norm(operate(a, b))]).toEqual([a, b, longOf(expected(BigInt(a), BigInt(b)))])
})

const norm = (long: ReturnType<typeof sum>) => (long === 0 ? 0 : long)

it('divides towards zero, with a remainder that is never negative', () => {
  for (const a of longs)
    for (const b of [1, 7, 1000, 86_400_000]) {
      expect([a, b, norm(quotient(a, b))]).toEqual([a, b, longOf(BigInt(a) / BigInt(b))])
      const rest = BigInt(a) % BigInt(b)
      expect([a, b, norm(remainder(a, b))]).toEqual([a, b, Number(rest < 0n ? rest + BigInt(b) : rest)])
    }
})
