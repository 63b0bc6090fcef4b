import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type UseDemand, unplacedDemand } from './place-uses.ts'

/** Tries each home for each single use. */
function canPlace(demands: readonly UseDemand[], capacities: readonly number[]): boolean {
  const units = demands.flatMap(({ uses, homes }) => Array.from({ length: uses }, () => homes))
  const place = (at: number, free: readonly number[]): boolean => {
    const homes = units[at]
    return (
      homes === undefined ||
      homes.some((home) => (free[home] ?? 0) > 0 && place(at + 1, free.with(home, (free[home] ?? 0) - 1)))
    )
  }
  return place(0, capacities)
}

const cases = fc.tuple(
  fc.array(fc.record({ uses: fc.integer({ min: 1, max: 3 }), homes: fc.subarray([0, 1, 2], { minLength: 1 }) }), {
    maxLength: 4,
  }),
  fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 3, maxLength: 3 }),
)

it('places uses exactly where trying every way does (V5)', () => {
  fc.assert(
    fc.property(cases, ([demands, capacities]) => {
      expect(unplacedDemand(demands, capacities) === undefined).toBe(canPlace(demands, capacities))
    }),
    { numRuns: 1000 },
  )
})

it('names the first demand that is too much', () => {
  const demand = (uses: number, ...homes: number[]) => ({ uses, homes })
  expect(unplacedDemand([demand(2, 0), demand(3, 0, 1), demand(1, 1)], [3, 3])).toBeUndefined()
  expect(unplacedDemand([demand(2, 0), demand(3, 0, 1), demand(2, 1)], [3, 3])).toBe(2)
  expect(unplacedDemand([demand(3, 0, 1), demand(3, 0)], [3, 3])).toBeUndefined()
  expect(unplacedDemand([demand(4, 0), demand(1, 1)], [3, 3])).toBe(0)
})

it('takes no longer for large numbers', () => {
  const demands = Array.from({ length: 64 }, (_, n) => ({
    uses: 1e9 - n,
    homes: Array.from({ length: 64 }, (_, m) => (n * m) % 64),
  }))
  expect(
    unplacedDemand(
      demands,
      Array.from({ length: 64 }, () => 1e9),
    ),
  ).toBeUndefined()
  expect(
    unplacedDemand(
      demands,
      Array.from({ length: 64 }, (_, m) => 1e9 - 64 + m),
    ),
  ).toBeDefined()
})
