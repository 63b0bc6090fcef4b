import fc from 'fast-check'
import { expect, it } from 'vitest'
import { entryOf, prices } from './entry.fixture.ts'
import { affordable, costOf, microsOf, mostCost, priceOf, pricesHash, spellMicros } from './prices.ts'

const price = priceOf(entryOf().prices, 'small')
if (price === undefined) throw new Error('no price')
const amounts = fc.bigInt({ min: 0n, max: 10n ** 14n })
const anyPrice = fc
  .record({ input: amounts, output: amounts, cache_read: amounts, cache_write: amounts })
  .map((each) => ({
    ...price,
    ...Object.fromEntries(Object.entries(each).map(([name, micros]) => [name, spellMicros(micros)])),
  }))
const tokens = fc.nat(2_000_000)

it('reads and spells amounts exactly, to the millionth', () => {
  expect([microsOf('0.000001'), microsOf('2.5'), microsOf('123456789.654321')]).toEqual([
    1n,
    2_500_000n,
    123_456_789_654_321n,
  ])
  fc.assert(fc.property(amounts, (micros) => void expect(microsOf(spellMicros(micros))).toBe(micros)))
})

it('rounds a part of a micro up, once: never in favour of the caller', () => {
  const bound = { input: 1, outside: 0n }
  expect(mostCost({ ...price, input: '0.000001', output: '0' }, bound, 0)).toBe(1n)
  expect(mostCost(price, { input: 3, outside: 7n }, 0)).toBe(10n)
})

it('pays for as many tokens as the rest of a budget covers, and for not one more (V9)', () => {
  fc.assert(
    fc.property(anyPrice, tokens, amounts, amounts, (own, input, outside, left) => {
      const bound = { input, outside }
      const most = affordable(own, bound, left)
      if (most < 0) expect(mostCost(own, bound, 0)).toBeGreaterThan(left)
      else expect(mostCost(own, bound, Math.min(most, 1e9))).toBeLessThanOrEqual(left)
      if (most < 1e9) expect(mostCost(own, bound, most + 1)).toBeGreaterThan(left)
    }),
  )
})

it('costs no more by any counts within what was reserved than was reserved (V9)', () => {
  fc.assert(
    fc.property(
      anyPrice,
      tokens,
      tokens,
      amounts,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (own, input, output, outside, share) => {
        const cacheRead = Math.floor(input * share)
        const counted = { input, cacheRead, cacheWrite: Math.floor((input - cacheRead) / 2), output }
        expect(costOf(own, counted, outside)).toBeLessThanOrEqual(mostCost(own, { input, outside }, output))
      },
    ),
  )
})

it.each([
  ['a float', { input: 1.5 }],
  ['a negative price', { input: '-1' }],
  ['seven places', { input: '0.0000001' }],
  ['an exponent', { output: '1e3' }],
  ['no limit of output', { most_output: undefined }],
  ['a member that is misspelt', { ouput: '1' }],
])('takes no table with %s', (_, wrong) => {
  const small = { ...prices.models.small, ...wrong }
  expect(() => entryOf({ prices: { ...prices, models: { small } } })).toThrow('config_invalid')
})

it('takes no address with a query: it would come before the path of an endpoint', () => {
  expect(() => entryOf({ url: 'https://acme.example/?v=1' })).toThrow('config_invalid')
})

it('has another hash for every other price, address, kind and version', () => {
  const entry = entryOf()
  const small = { ...prices.models.small, output: '9.999999' }
  const others = [
    entryOf({ prices: { ...prices, version: '2' } }),
    entryOf({ prices: { ...prices, currency: 'EUR' } }),
    entryOf({ prices: { ...prices, models: { ...prices.models, small } } }),
    entryOf({ url: 'https://other.example' }),
    entryOf({ api: 'anthropic' }),
    entryOf({ betas: ['fine-2026-01-01'] }),
  ]
  expect(new Set([entry, ...others].map(pricesHash)).size).toBe(7)
  expect(pricesHash(entryOf())).toBe(pricesHash(entry))
})

it('has one price for a model that makes vectors, and no member of one that writes', () => {
  const of = (vectors: object) => priceOf(entryOf({ prices: { ...prices, models: { vectors } } }).prices, 'vectors')
  const read = of({ input: '2', embeddings: true })
  expect(read).toMatchObject({ input: '2', output: '0', embeddings: true })
  if (read === undefined) throw new Error('no price')
  expect(mostCost(read, { input: 1000, outside: 0n }, 0)).toBe(2000n)
  for (const more of [{ output: '1' }, { most_output: 5 }, { embeddings: false }, { image_tokens: 5 }])
    expect(() => of({ input: '2', embeddings: true, ...more })).toThrow('config_invalid')
  expect(() => of({ input: '2' })).toThrow('config_invalid')
})
