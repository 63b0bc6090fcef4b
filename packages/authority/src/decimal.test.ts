import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  canonicalDecimal,
  compareDecimals,
  type Decimal,
  decimalOf,
  formatMicros,
  parseDecimal,
  parseMicros,
  parseNumberText,
  toMicros,
} from './decimal.ts'

const digits = (min: number, max: number) =>
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength: min, maxLength: max }).map((list) => list.join(''))
const decimalTexts = fc
  .tuple(fc.constantFrom('', '-'), digits(1, 18), digits(0, 18))
  .map(([sign, whole, fraction]) => `${sign}${BigInt(whole)}${fraction === '' ? '' : `.${fraction}`}`)

/** Another way to compute the value: as an integer count of 10^-18. */
const scaled = (text: string): bigint => {
  const [whole = '', fraction = ''] = text.replace('-', '').split('.')
  const count = BigInt(whole + fraction.padEnd(18, '0'))
  return text.startsWith('-') ? -count : count
}
const read = (text: string): Decimal => parseDecimal(text) ?? expect.unreachable(text)

it('compares decimals exactly, in any spelling', () => {
  fc.assert(
    fc.property(decimalTexts, decimalTexts, (a, b) => {
      const [x, y] = [scaled(a), scaled(b)]
      expect(compareDecimals(read(a), read(b))).toBe(x < y ? -1 : x > y ? 1 : 0)
    }),
  )
  expect(compareDecimals(read('1'), read('1.0'))).toBe(0)
})

it('gives one text to each value', () => {
  fc.assert(
    fc.property(decimalTexts, decimalTexts, digits(0, 3), (a, b, zeros) => {
      const same = canonicalDecimal(read(a)) === canonicalDecimal(read(b))
      expect(same).toBe(scaled(a) === scaled(b))
      const longer = `${a.includes('.') ? a : `${a}.0`}${zeros.replace(/./g, '0')}`
      expect(canonicalDecimal(read(longer))).toBe(canonicalDecimal(read(a)))
      expect(scaled(canonicalDecimal(read(a)))).toBe(scaled(a))
    }),
  )
})

it.each([
  [
    '',
    '+1',
    '.5',
    '1.',
    '01',
    '-',
    '--1',
    '1e2',
    '1E2',
    ' 1',
    '1 ',
    '1\n',
    '1_000',
    '1,000',
    '0x10',
    '٣',
    'NaN',
    'Infinity',
  ],
])('refuses as a decimal string what is not one: %s', (...texts) => {
  for (const text of texts) expect(parseDecimal(text), JSON.stringify(text)).toBeUndefined()
})

it('takes 38 digits and no more', () => {
  expect(parseDecimal('9'.repeat(38))).toEqual({ units: 10n ** 38n - 1n, scale: 0 })
  expect(parseDecimal(`-${'9'.repeat(19)}.${'9'.repeat(19)}`)).toEqual({ units: -(10n ** 38n) + 1n, scale: 19 })
  expect(parseDecimal('9'.repeat(39))).toBeUndefined()
  expect(parseDecimal(`0.${'0'.repeat(38)}`)).toBeUndefined()
})

it('reads the exponent of a JSON number exactly, or not at all', () => {
  const text = (source: string) => {
    const decimal = parseNumberText(source)
    return decimal === undefined ? undefined : canonicalDecimal(decimal)
  }
  expect(text('1e2')).toBe('100')
  expect(text('1E+2')).toBe('100')
  expect(text('5000e-1')).toBe('500')
  expect(text('1.5e-7')).toBe('0.00000015')
  expect(text('0.30000000000000004')).toBe('0.30000000000000004')
  expect(text('-0')).toBe('0')
  expect(text('-0.0e5')).toBe('0')
  expect(text('1e37')).toBe(`1${'0'.repeat(37)}`)
  expect(text('1e-37')).toBe(`0.${'0'.repeat(36)}1`)
  expect(text('0e38')).toBe('0')
  for (const refused of [
    '1e38',
    '0e39',
    '1e400',
    '1E999',
    '1e-38',
    '0.1e-38',
    `0.${'0'.repeat(37)}1e9`, // 39 digits, though fewer would do
    '1e9999',
    '1e',
    'e5',
    'NaN',
    '-Infinity',
    '',
  ]) {
    expect(text(refused), refused).toBeUndefined()
  }
})

it('takes a double only where no other text of its length reads as it', () => {
  expect(decimalOf(2 ** 53 - 1)).toEqual({ units: 2n ** 53n - 1n, scale: 0 })
  for (const lost of [
    2 ** 53,
    -(2 ** 53),
    1e21,
    0.1 + 0.2,
    1 / 3,
    2 ** 51 + 0.5,
    5e-324,
    Number.NaN,
    Number.POSITIVE_INFINITY,
  ]) {
    expect(decimalOf(lost), String(lost)).toBeUndefined()
  }
  expect(decimalOf('2.50')).toEqual({ units: 250n, scale: 2 })
  expect(decimalOf(-0)).toEqual({ units: 0n, scale: 0 })
  expect(decimalOf(1e-7)).toEqual({ units: 1n, scale: 7 })
  for (const other of [undefined, null, true, 5n, {}, [], ['1'], [1.5], { valueOf: () => 1 }])
    expect(decimalOf(other)).toBeUndefined()
})

it('reads a JSON number of up to 15 digits as exactly what was written', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('', '-'),
      digits(1, 15),
      fc.integer({ min: -20, max: 5 }),
      (sign, written, exponent) => {
        const text = `${sign}${BigInt(written)}e${exponent}`
        const [exact, double] = [parseNumberText(text), decimalOf(JSON.parse(text))]
        if (exact === undefined || double === undefined) {
          // Only an integer that a double may not hold exactly is refused.
          expect(Number.isSafeInteger(JSON.parse(text))).toBe(false)
          expect(Number.isInteger(JSON.parse(text))).toBe(true)
        } else expect(canonicalDecimal(double)).toBe(canonicalDecimal(exact))
      },
    ),
  )
})

it('counts money in micros, refusing what is negative or finer', () => {
  expect(parseMicros('2000.00')).toBe(2_000_000_000n)
  expect(parseMicros('0.000001')).toBe(1n)
  expect(parseMicros('-0')).toBe(0n)
  for (const refused of ['0.0000001', '1.0000000', '-0.01', '1e2', 'EUR'])
    expect(parseMicros(refused), refused).toBeUndefined()
  expect(toMicros({ units: -1n, scale: 0 })).toBeUndefined()
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 10n ** 30n }), (micros) => {
      expect(parseMicros(formatMicros(micros))).toBe(micros)
    }),
  )
})
