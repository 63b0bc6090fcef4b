import fc from 'fast-check'
import { expect, it } from 'vitest'
import { bothConstraints } from './constraint.ts'
import { covers } from './covers.ts'
import { intersect } from './intersect.ts'
import { narrows } from './narrows.ts'
import { parseAuthority } from './parse-authority.ts'
import type { Constraint } from './schema.ts'
import { authorities, everyAction, relatives } from './small-universe.ts'

const pairs = authorities.chain((a) => fc.tuple(fc.constant(a), fc.oneof(authorities, relatives(a))))

it('gives an authority that narrows both and covers what both cover alone (V5)', { timeout: 30_000 }, () => {
  const answers = { some: 0, none: 0 }
  fc.assert(
    fc.property(pairs, ([a, b]) => {
      const both = intersect(a, b)
      answers[both === undefined ? 'none' : 'some']++
      if (both === undefined) return
      expect(parseAuthority(both)).toEqual({ ok: true, authority: both })
      expect([narrows(both, a), narrows(both, b)]).toEqual([{ narrower: true }, { narrower: true }])
      for (const action of everyAction) {
        if (covers(both, action).covered && !(covers(a, action).covered && covers(b, action).covered)) {
          expect.unreachable(JSON.stringify({ a, b, action }))
        }
      }
    }),
    { numRuns: 300 },
  )
  expect(Math.min(answers.some, answers.none)).toBeGreaterThan(30)
})

it('gives back what narrows the other one, no less', { timeout: 30_000 }, () => {
  fc.assert(
    fc.property(authorities, (authority) => {
      const both = intersect(authority, authority)
      // A permission that no argument can satisfy may be missing; every other is complete.
      for (const action of everyAction) {
        expect(both !== undefined && covers(both, action).covered).toBe(covers(authority, action).covered)
      }
    }),
    { numRuns: 50 },
  )
})

it('has nothing for two tasks', () => {
  fc.assert(
    fc.property(authorities, (a) => {
      expect(intersect(a, { ...a, task: 'other' })).toBeUndefined()
    }),
  )
})

it('meets in the middle', () => {
  const permission = { actions: ['GET', 'PUT'], resource: { type: 'api', id_prefix: 'https://h/v1/' } }
  const base = { type: 'bailiwick_task' as const, task: 't', max_depth: 1, max_children: 3 }
  const a = {
    ...base,
    permissions: [{ ...permission, where: { '/n': { min: '1', in: ['0', '1', '2.0', '9'] } }, max_uses: 5 }],
    budget: { calls: 9, cost: { EUR: '2.50', USD: '1' } },
  }
  const b = {
    ...base,
    permissions: [
      {
        actions: ['GET'],
        resource: { type: 'api', id: 'https://h/v1/x' },
        where: { '/n': { max: '2' }, '/m': { eq: true } },
      },
    ],
    budget: { egress_bytes: 7, cost: { EUR: '2.500001', GBP: '1' } },
  }
  expect(intersect(a, b)).toEqual({
    ...base,
    permissions: [
      {
        actions: ['GET'],
        resource: { type: 'api', id: 'https://h/v1/x' },
        where: { '/n': { in: ['1', '2.0'], min: '1', max: '2' }, '/m': { eq: true } },
        max_uses: 5,
      },
    ],
    budget: { calls: 9, cost: { EUR: '2.50' }, egress_bytes: 7 },
  })
})

it('passes on no deeper and to no more than both do (V5)', () => {
  const a = { type: 'bailiwick_task' as const, task: 't', budget: {}, max_depth: 1, max_children: 9 }
  const permissions = [{ actions: ['GET'], resource: { type: 'tool', id: 't' } }]
  const both = intersect({ ...a, permissions }, { ...a, permissions, max_depth: 4, max_children: 2 })
  expect(both).toMatchObject({ max_depth: 1, max_children: 2 })
})

it('is closed where one of them is, and empty where that one leaves no room (V5)', () => {
  const base = { type: 'bailiwick_task' as const, task: 't', budget: {}, max_depth: 0, max_children: 0 }
  const one = (more: object) => ({
    ...base,
    permissions: [{ actions: ['GET'], resource: { type: 'tool', id: 't' }, ...more }],
  })
  const closed = one({ where: { '/a': { max: '1' } }, arguments: 'closed' })
  const [permission] = closed.permissions
  for (const other of [one({}), one({ where: { '/a': { max: '9' } } }), closed])
    for (const both of [intersect(closed, other), intersect(other, closed)])
      expect(both?.permissions).toEqual([permission])
  expect(intersect(closed, one({ where: { '/b': { max: '1' } } }))).toBeUndefined()
  expect(intersect(one({ arguments: 'closed' }), closed)).toBeUndefined()
})

it('lets be delegated to those that both list (V5)', () => {
  const permissions = [{ actions: ['GET'], resource: { type: 'tool', id: 't' } }]
  const open = { type: 'bailiwick_task' as const, task: 't', permissions, budget: {}, max_depth: 2, max_children: 2 }
  const listing = (...names: string[]) => ({ ...open, delegates: names.map((name) => `spiffe://d/agent/${name}`) })
  expect(intersect(listing('a', 'b'), listing('c', 'b'))).toEqual(listing('b'))
  expect(intersect(listing('a'), listing('b'))).toEqual(listing())
  expect([intersect(open, listing('a')), intersect(listing('a'), open)]).toEqual([listing('a'), listing('a')])
  expect(intersect(open, open)).toEqual(open)
})

it('keeps a budget for money that one of them states, in either order, and 32 bounds at most', () => {
  const a = { type: 'bailiwick_task' as const, task: 't', budget: {}, max_depth: 0, max_children: 0 }
  const permission = { actions: ['GET'], resource: { type: 'tool', id: 't' } }
  const free = { ...a, permissions: [permission] }
  const none = { ...free, budget: { cost: {} } }
  const paid = { ...free, budget: { cost: { EUR: '1' } } }
  expect([intersect(free, none)?.budget, intersect(none, free)?.budget]).toStrictEqual([{ cost: {} }, { cost: {} }])
  expect([intersect(paid, none)?.budget, intersect(free, free)?.budget]).toStrictEqual([{ cost: {} }, {}])
  const bounded = (from: number, to: number) => ({
    ...a,
    permissions: [
      {
        ...permission,
        where: Object.fromEntries(Array.from({ length: to - from }, (_, n) => [`/${from + n}`, { min: '1' }])),
      },
    ],
  })
  const where = intersect(bounded(0, 16), bounded(16, 32))?.permissions[0]?.where
  expect(Object.keys(where ?? {})).toHaveLength(32)
  expect(intersect(bounded(0, 16), bounded(16, 33))).toBeUndefined()
})

it('keeps the uses of each that lie within the same, and 64 permissions at most', () => {
  const a = { type: 'bailiwick_task' as const, task: 't', budget: {}, max_depth: 0, max_children: 0 }
  const one = { actions: ['GET'], resource: { type: 'tool', id: 't' } }
  const limited = [2, 3].map((max_uses) => ({ ...one, max_uses }))
  expect(intersect({ ...a, permissions: limited }, { ...a, permissions: [one] })?.permissions).toEqual(limited)
  const below = (id_prefix: string, ...actions: string[]) => ({ actions, resource: { type: 'api', id_prefix } })
  const many = Array.from({ length: 33 }, (_, n) => below(`https://h/${n}/`, 'GET', 'PUT'))
  const both = { ...a, permissions: [below('https://h/', 'GET'), below('https://h/', 'PUT')] }
  expect(intersect({ ...a, permissions: many }, both)?.permissions).toHaveLength(64)
})

it('loses only the pairs that have nothing in common', () => {
  const resource = { type: 'tool', id: 't' }
  const cost = { amount: '/n', currency: '/c' }
  const base = { type: 'bailiwick_task' as const, task: 't', budget: {}, max_depth: 0, max_children: 0 }
  const both = { actions: ['z'], resource }
  const a = {
    ...base,
    permissions: [{ actions: ['x'], resource, where: { '/n': { eq: '1' } } }, { actions: ['y'], resource, cost }, both],
  }
  const b = {
    ...base,
    permissions: [{ actions: ['x'], resource, where: { '/n': { eq: '2' } } }, { actions: ['y'], resource }, both],
  }
  expect(intersect(a, b)).toEqual({ ...base, permissions: [both] })
})

it.each<[a: Constraint, b: Constraint, both: Constraint | undefined]>([
  [{ eq: '2' }, { min: '1' }, { eq: '2', min: '1' }],
  [{ eq: '2' }, { eq: '2' }, { eq: '2' }],
  [{ eq: '2' }, { eq: '3' }, undefined],
  [{ eq: '0' }, { min: '1' }, undefined],
  [{ eq: '2' }, { max: '1' }, undefined],
  [{ eq: 'x' }, { max: '1' }, undefined],
  [{ in: ['1', '2', '3'] }, { in: ['4', '3', '2'] }, { in: ['2', '3'] }],
  [{ in: ['1', 'a'] }, { in: ['2'] }, undefined],
  [{ in: ['1', '5', 'x'] }, { max: '3' }, { in: ['1'], max: '3' }],
  [{ in: ['1', '5', true] }, { min: '3' }, { in: ['5'], min: '3' }],
  [{ in: ['1', '2'] }, { eq: '2' }, { eq: '2', in: ['2'] }],
  [{ in: ['1'] }, { eq: '2' }, undefined],
  [{ min: '1' }, { min: '2' }, { min: '2' }],
  [{ max: '1' }, { max: '2' }, { max: '1' }],
  [{ max: '1' }, { min: '-2' }, { max: '1' }],
  [{ max: '1' }, { max: '2', min: '-2' }, { max: '1' }],
  [{ max: '1' }, { max: '2', min: '0' }, { max: '1', min: '0' }],
  [
    { max: '2', min: '-1' },
    { max: '1', min: '-2' },
    { max: '1', min: '-1' },
  ],
  [{ max: '1' }, { eq: '-1' }, undefined],
  [{ max: '1' }, { in: ['-1', '1'] }, { in: ['1'], max: '1' }],
  [{ max: '-1' }, { min: '-2' }, undefined],
  [{ min: '2' }, { max: '2' }, { min: '2', max: '2' }],
  [{ min: '2.01' }, { max: '2' }, undefined],
  [{ prefix: 'ab' }, { prefix: 'abc' }, { prefix: 'abc' }],
  [{ prefix: 'ab' }, { prefix: 'ac' }, undefined],
  [{ prefix: 'a' }, { eq: '1' }, { eq: '1', prefix: 'a' }], // the number 1 has no prefix to lack
  [{ prefix: 'a' }, { in: ['b'] }, { in: ['b'], prefix: 'a' }],
])('%j and %j have %j in common, whichever comes first', (a, b, both) => {
  if (both?.in) expect(bothConstraints(b, a)).toEqual({ ...both, in: expect.arrayContaining([...both.in]) })
  else expect(bothConstraints(b, a)).toEqual(both)
  expect(bothConstraints(a, b)).toEqual(both)
})
