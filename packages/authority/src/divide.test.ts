import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseMicros } from './decimal.ts'
import { divide, together } from './divide.ts'
import { narrows } from './narrows.ts'
import type { Authority } from './schema.ts'
import { authorities } from './small-universe.ts'

/** An authority with its permissions distributed over one to three groups. */
const divisions = authorities.chain((whole) =>
  fc
    .array(fc.integer({ min: 0, max: 2 }), { minLength: whole.permissions.length, maxLength: whole.permissions.length })
    .map((of) => ({
      whole,
      groups: [0, 1, 2].map((g) => of.flatMap((own, n) => (own === g ? [n] : []))).filter(({ length }) => length > 0),
    })),
)
const sum = (amounts: readonly (bigint | undefined)[]) =>
  amounts.reduce<bigint>((total, amount) => total + (amount ?? 0n), 0n)

it('gives away nothing that was not there: each part narrows the whole, and so do all together (V3, V9)', () => {
  fc.assert(
    fc.property(divisions, ({ whole, groups }) => {
      const parts = divide(whole, groups)
      for (const part of parts) expect(narrows(part, whole)).toEqual({ narrower: true })
      expect(narrows(together(parts as [Authority]), whole)).toEqual({ narrower: true })
    }),
    { numRuns: 2000 },
  )
})

it('leaves every permission in exactly one part, as it was, and loses no call, byte or millionth that a part can use', () => {
  fc.assert(
    fc.property(divisions, ({ whole, groups }) => {
      const parts = divide(whole, groups)
      expect(parts.map(({ permissions }) => permissions)).toEqual(groups.map((g) => g.map((n) => whole.permissions[n])))
      const { calls, egress_bytes, cost } = whole.budget
      for (const [limit, of] of [
        [calls, parts.map(({ budget }) => budget.calls)],
        [egress_bytes, parts.map(({ budget }) => budget.egress_bytes)],
        [whole.max_children, parts.map(({ max_children }) => max_children)],
      ] as const) {
        expect(of.every((own) => (own === undefined) === (limit === undefined))).toBe(true)
        expect(of.reduce<number>((total, own) => total + (own ?? 0), 0)).toBe(limit ?? 0)
      }
      const spends = whole.permissions.some((permission) => permission.cost !== undefined)
      for (const [currency, amount] of Object.entries(cost ?? {}))
        expect(sum(parts.map(({ budget }) => parseMicros(budget.cost?.[currency] ?? '0')))).toBe(
          spends ? parseMicros(amount) : 0n,
        )
    }),
  )
})

it('lists together what each lists that can be delegated at all (V5)', () => {
  const permissions = [{ actions: ['a'], resource: { type: 'tool', id: 't' } }]
  const open = { type: 'bailiwick_task' as const, task: 't', permissions, budget: {}, max_depth: 1, max_children: 1 }
  const [a, b] = ['spiffe://d/agent/a', 'spiffe://d/agent/b']
  const [listsA, listsBoth] = [
    { ...open, delegates: [a] },
    { ...open, delegates: [b, a] },
  ]
  expect(together([listsA, listsBoth, { ...open, max_depth: 0 }]).delegates).toEqual([a, b])
  expect(together([listsA, open]).delegates).toBeUndefined()
  expect(together([{ ...open, max_children: 0 }]).delegates).toEqual([])
})

it('shares money to the millionth, among the parts that can spend it', () => {
  const pay = (id: string) => ({
    actions: ['a'],
    resource: { type: 'tool', id },
    cost: { amount: '/a', currency: '/c' },
  })
  const read = { actions: ['a'], resource: { type: 'tool', id: 'r' } }
  const whole: Authority = {
    type: 'bailiwick_task',
    task: 't',
    permissions: [read, pay('x'), pay('y'), pay('z')],
    budget: { calls: 10, cost: { EUR: '10' }, egress_bytes: 2 },
    max_depth: 2,
    max_children: 5,
  }
  const parts = divide(whole, [[0], [1], [2], [3]])
  expect(parts.map(({ budget }) => budget)).toEqual([
    { calls: 3, cost: {}, egress_bytes: 1 },
    { calls: 3, cost: { EUR: '3.333334' }, egress_bytes: 1 },
    { calls: 2, cost: { EUR: '3.333333' }, egress_bytes: 0 },
    { calls: 2, cost: { EUR: '3.333333' }, egress_bytes: 0 },
  ])
  expect(parts.map(({ max_depth, max_children }) => [max_depth, max_children])).toEqual([
    [2, 2],
    [2, 1],
    [2, 1],
    [2, 1],
  ])
  expect(together(parts as [Authority])).toEqual(whole)
  const open = { ...whole, budget: {} }
  const unlimited = divide(open, [
    [0, 1],
    [2, 3],
  ])
  expect(unlimited.map(({ budget }) => budget)).toStrictEqual([{}, {}])
  expect(together(unlimited as [Authority])).toStrictEqual(open)
})

it('adds up what several allow: what one of them leaves open is open, money as far as any states it, the deepest depth', () => {
  const permissions = [{ actions: ['a'], resource: { type: 'tool', id: 'r' } }]
  const one: Authority = {
    ...{ type: 'bailiwick_task', task: 't', permissions, max_depth: 1, max_children: 2 },
    budget: { calls: 1, egress_bytes: 10 },
  }
  const other = { ...one, budget: { calls: 2, egress_bytes: 30, cost: { EUR: '1.5' } }, max_depth: 3, max_children: 4 }
  const both = { ...one, permissions: [...permissions, ...permissions], max_depth: 3, max_children: 6 }
  const budget = { calls: 3, egress_bytes: 40, cost: { EUR: '1.5' } }
  expect(together([one, other])).toEqual({ ...both, budget })
  expect(together([other, one])).toEqual({ ...both, budget })
  const open = { ...one, budget: { cost: { EUR: '2', CHF: '1' } } }
  const sum = { ...both, budget: { cost: { EUR: '3.5', CHF: '1' } } }
  expect([together([open, other]), together([other, open])]).toEqual([sum, sum])
})

it('sees a budget that is there twice, and one that a part left open', () => {
  const limited: Authority = {
    type: 'bailiwick_task',
    task: 'reconcile',
    permissions: [{ actions: ['a'], resource: { type: 'tool', id: 'x' } }],
    budget: { calls: 3, cost: { EUR: '1' } },
    max_depth: 0,
    max_children: 0,
  }
  expect(narrows(together([limited, limited]), limited)).toMatchObject({ narrower: false })
  const open: Authority = { ...limited, budget: { cost: {} } }
  expect(narrows(together([open, { ...limited, budget: { calls: 1, cost: {} } }]), limited)).toMatchObject({
    path: '/budget/calls',
  })
  const once = { ...limited, permissions: [{ actions: ['a'], resource: { type: 'tool', id: 'x' }, max_uses: 1 }] }
  const free = { ...once, budget: {} }
  expect(narrows(together([free, free]), free)).toMatchObject({ path: '/permissions/1/max_uses' })
})
