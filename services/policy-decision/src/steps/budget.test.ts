import { expect, it } from 'vitest'
import { budgetLeft } from './budget.ts'
import type { Budgeted } from './reserve.ts'

const priced = { amount: '/cost/amount', currency: '/cost/currency' }
const level = (
  cost: Record<string, string> | undefined,
  taken: Record<string, bigint>,
  permissions: object[] = [{ cost: priced }],
) =>
  ({
    authority: { permissions, budget: cost === undefined ? {} : { cost } },
    covering: permissions.map((_, index) => ({ index })),
    spent: { taken: { cost: new Map(Object.entries(taken)) } },
  }) as unknown as Budgeted

it('is the least that the grant and each link have left, to the millionth', () => {
  const levels = [
    level({ USD: '2', EUR: '5' }, { USD: 1_999_999n }),
    level({ USD: '1', EUR: '7.5' }, { EUR: 1n }),
  ] as const
  expect(budgetLeft(levels).cost).toEqual({ USD: '0.000001', EUR: '5' })
})

it('is never below nothing', () => {
  expect(budgetLeft([level({ USD: '1' }, { USD: 1_000_001n })]).cost).toEqual({ USD: '0' })
})

it('names no currency that no authority lists', () => {
  expect(budgetLeft([level(undefined, { USD: 1n })]).cost).toEqual({})
})

it('says where the acting agent reads a cost, and where it reads none', () => {
  const levels = [level({}, {}), level({}, {}, [{ cost: priced }, {}])] as const
  expect(budgetLeft(levels).priced).toEqual([priced, null])
})
