import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { newId, timeOfId } from './ids.ts'
import { seededRandom, systemRandom } from './random.ts'

const time = fc.integer({ min: 0, max: 2 ** 48 - 1 })

it('is the ULID of its time and randomness', () => {
  // The example of the ULID specification: 1469918176385 is 01ARYZ6S41.
  expect(newId('grt', 1469918176385, () => new Uint8Array(10))).toBe('grt_01ARYZ6S410000000000000000')
  expect(newId('req', 2 ** 48 - 1, () => new Uint8Array(10).fill(255))).toBe('req_7ZZZZZZZZZZZZZZZZZZZZZZZZZ')
  const counting = () => Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  expect(newId('req', 0, counting)).toBe('req_0000000000000G40R40M30E209')
})

it('has one spelling that needs no escaping anywhere', () => {
  for (let n = 0; n < 100; n++) {
    expect(newId('evt', 1_767_225_600_000, systemRandom)).toMatch(/^evt_[0-7][0-9A-HJKMNP-TV-Z]{25}$/)
  }
})

it('sorts by time of creation', () => {
  fc.assert(
    fc.property(time, time, fc.string(), (a, b, seed) => {
      const random = seededRandom(seed)
      const [first, second] = [newId('dec', a, random), newId('dec', b, random)]
      if (a !== b) expect(first < second).toBe(a < b)
      else expect(first).not.toBe(second)
    }),
  )
})

it('carries all 80 random bits', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 10, maxLength: 10 }), fc.nat(79), (bytes, bit) => {
      const flipped = Uint8Array.from(bytes, (byte, n) => (n === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))
      expect(newId('crd', 0, () => bytes)).not.toBe(newId('crd', 0, () => flipped))
    }),
  )
})

it('refuses a time or a random source that would give another id than it says', () => {
  for (const now of [-1, 2 ** 48, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => newId('out', now, systemRandom)).toThrow(RangeError)
  }
  expect(() => newId('out', 0, () => new Uint8Array(3))).toThrow(RangeError)
})

it('repeats itself from a seed, and not from another', () => {
  const bytes = (seed: string, lengths: number[]) => {
    const random = seededRandom(seed)
    return Buffer.concat(lengths.map((n) => random(n))).toString('hex')
  }
  expect(bytes('a', [10, 10, 50])).toBe(bytes('a', [50, 20]))
  expect(bytes('a', [70])).not.toBe(bytes('b', [70]))
})

it('says when it was made, and nothing of an id of another make', () => {
  fc.assert(fc.property(time, fc.string(), (ms, seed) => timeOfId(newId('dec', ms, seededRandom(seed))) === ms))
  const others = [
    'dec_8ZZZZZZZZZZZZZZZZZZZZZZZZZ',
    'dec_01ARYZ6S41',
    'dec_01aryz6s410000000000000000',
    '01ARYZ6S410000000000000000',
  ]
  expect(others.map(timeOfId)).toEqual(others.map(() => undefined))
})
