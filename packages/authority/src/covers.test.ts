import fc from 'fast-check'
import { expect, it } from 'vitest'
import { impliesConstraint, satisfies } from './constraint.ts'
import { type Action, type Coverage, covers, coversMapped } from './covers.ts'
import { parseAuthority } from './parse-authority.ts'
import type { Authority, Constraint, Permission } from './schema.ts'
import { authorities, everyAction } from './small-universe.ts'

/**
 * A second engine, written from DESIGN §7.1 alone and only for the small universe: floats are exact there, so it may use them, and a URL
 * parser instead of a normal form.
 */
function naively(authority: Authority, action: Action): Coverage {
  const properties = action.properties as Record<string, unknown>
  const answers = authority.permissions.map((permission) => judge(authority, permission, action, properties))
  const permissions = answers.flatMap((answer, index) =>
    typeof answer === 'string' ? [] : [{ index, ...answer }],
  ) as (Coverage & { covered: true })['permissions']
  if (permissions.length > 0) return { covered: true, permissions }
  const reasons = ['cost_invalid', 'argument_out_of_bounds', 'action_not_granted'] as const
  return { covered: false, reason: reasons.find((reason) => answers.includes(reason)) ?? 'action_not_granted' }
}

function judge(authority: Authority, permission: Permission, action: Action, properties: Record<string, unknown>) {
  const { type, id, id_prefix: prefix } = permission.resource
  const url = URL.canParse(action.resource.id) ? new URL(action.resource.id).href : undefined
  const below = prefix !== undefined && url === action.resource.id && !url.includes('%') && url.startsWith(prefix)
  const target = type === action.resource.type && (id === action.resource.id || below)
  if (!target || !permission.actions.some((name) => name === action.name)) return 'action_not_granted'
  for (const [pointer, constraint] of Object.entries(permission.where ?? {})) {
    if (!accepts(properties[pointer.slice(1)], constraint)) return 'argument_out_of_bounds'
  }
  const mayBe = [...Object.keys(permission.where ?? {}), ...Object.values(permission.cost ?? {})]
  if (permission.arguments === 'closed' && Object.keys(properties).some((name) => !mayBe.includes(`/${name}`)))
    return 'argument_out_of_bounds'
  if (permission.cost === undefined) return {}
  const amount = properties[permission.cost.amount.slice(1)]
  const currency = properties[permission.cost.currency.slice(1)]
  const number = numeric(amount)
  const listed = Object.keys(authority.budget.cost ?? {}).some((known) => known === currency)
  if (!listed || number === undefined || number < 0 || String(amount) === '0.0000001') return 'cost_invalid'
  return { cost: { currency: currency as string, micros: BigInt(number * 1_000_000) } }
}

function accepts(value: unknown, { eq, in: listed, min, max, prefix }: Constraint): boolean {
  const number = numeric(value)
  const equals = (other: string | boolean) =>
    typeof other === 'string' && number !== undefined && numeric(other) !== undefined
      ? number === numeric(other)
      : value === other
  if (eq !== undefined && !equals(eq)) return false
  if (listed !== undefined && !listed.some(equals)) return false
  const least = min ?? (max === undefined ? undefined : '0')
  if (least !== undefined && !(number !== undefined && number >= Number(least))) return false
  if (max !== undefined && !(number !== undefined && number <= Number(max))) return false
  if (prefix === undefined) return true
  // The only value of this universe that leaves its folder.
  return typeof value === 'string' && value.indexOf(prefix) === 0 && !(prefix === 'x/' && value === 'x/../y')
}

function numeric(value: unknown): number | undefined {
  if (typeof value === 'number') return Math.abs(value) < 1e15 ? value : undefined
  return typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : undefined
}

it('answers for every action of a small universe as a second engine does', { timeout: 30_000 }, () => {
  const seen = new Map<string, number>()
  fc.assert(
    fc.property(authorities, (authority) => {
      expect(parseAuthority(authority)).toEqual({ ok: true, authority })
      for (const action of everyAction) {
        const [ours, theirs] = [covers(authority, action), naively(authority, action)]
        const kind = ours.covered ? (ours.permissions[0].cost ? 'covered at a cost' : 'covered') : ours.reason
        seen.set(kind, (seen.get(kind) ?? 0) + 1)
        if (!same(ours, theirs)) expect(ours, JSON.stringify({ authority, action })).toEqual(theirs)
      }
    }),
    { numRuns: 100 },
  )
  // Otherwise the two engines might agree only on refusals.
  expect([...seen.keys()].sort()).toEqual([
    'action_not_granted',
    'argument_out_of_bounds',
    'cost_invalid',
    'covered',
    'covered at a cost',
  ])
})

/** `toEqual` for every pair would take most of the time. */
function same(a: Coverage, b: Coverage): boolean {
  const text = (coverage: Coverage) =>
    JSON.stringify(coverage, (_, value) => (typeof value === 'bigint' ? String(value) : value))
  return text(a) === text(b)
}

it('names every permission that covers, in order, each with its own cost', () => {
  const resource = { type: 'tool', id: 'adjustments.post' }
  const authority: Authority = {
    type: 'bailiwick_task',
    task: 't',
    permissions: [
      { actions: ['tools/call'], resource, cost: { amount: '/amount', currency: '/currency' }, max_uses: 1 },
      { actions: ['tools/call'], resource: { type: 'tool', id: 'other' } },
      { actions: ['tools/call'], resource },
      { actions: ['tools/call'], resource, cost: { amount: '/fee', currency: '/currency' } },
    ],
    budget: { cost: { EUR: '10' } },
    max_depth: 0,
    max_children: 0,
  }
  const properties = { amount: '1.50', fee: 0.000001, currency: 'EUR' }
  expect(covers(authority, { name: 'tools/call', resource, properties })).toEqual({
    covered: true,
    permissions: [
      { index: 0, cost: { currency: 'EUR', micros: 1_500_000n } },
      { index: 2 },
      { index: 3, cost: { currency: 'EUR', micros: 1n } },
    ],
  })
})

it('covers what a mapping makes of a call by a permission without any limit (V3)', () => {
  const resource = { type: 'customer', id: 'c1' }
  const permission = { actions: ['read'], resource }
  const covered = (more: object, budget = {}) => {
    const authority = { type: 'bailiwick_task', task: 't', permissions: [{ ...permission, ...more }], budget }
    return coversMapped({ ...authority, max_depth: 0, max_children: 0 } as Authority, { name: 'read', resource })
  }
  expect(covered({})).toBe(true)
  for (const limits of [
    { max_uses: 1 },
    { where: { '/n': { max: '1' } } },
    { cost: { amount: '/amount', currency: '/currency' } },
    { actions: ['write'] },
    { resource: { type: 'customer', id: 'c2' } },
    { resource: { type: 'tool', id: 'c1' } },
  ])
    expect(covered(limits, { cost: { EUR: '10' } })).toBe(false)
  expect(covered({ arguments: 'closed' })).toBe(true)
})

it('takes a text alone for a currency, not what would read as one (V9)', () => {
  const resource = { type: 'tool', id: 'erp.pay' }
  const permission = { actions: ['tools/call'], resource, cost: { amount: '/amount', currency: '/currency' } }
  const authority: Authority = {
    ...{ type: 'bailiwick_task', task: 't', permissions: [permission], max_depth: 0, max_children: 0 },
    budget: { cost: { EUR: '10' } },
  }
  for (const currency of [['EUR'], { toString: () => 'EUR' }, null, undefined])
    expect(covers(authority, { name: 'tools/call', resource, properties: { amount: 1, currency } })).toEqual({
      covered: false,
      reason: 'cost_invalid',
    })
})

it('answers for any arguments, and never throws (V13)', () => {
  fc.assert(
    fc.property(authorities, fc.anything(), (authority, properties) => {
      const resource = { type: 'api', id: 'https://h/v1/a' }
      expect(typeof covers(authority, { name: 'GET', resource, properties }).covered).toBe('boolean')
    }),
  )
})

it.each<[constraint: Constraint, takes: unknown[], refuses: unknown[]]>([
  [{}, ['x', 1, true, '1'], [undefined, null, {}, [], 0.1 + 0.2]], // an uncompared type satisfies nothing, not even {}
  [{ eq: '500' }, ['500', 500, '500.00', 5e2], ['0500', '5e2', ' 500', 501, true, null]],
  [{ eq: 'true' }, ['true'], [true, 'True']],
  [{ eq: true }, [true], ['true', false, 1]],
  [{ in: ['a', '1.0', false] }, ['a', 1, '1', false], ['A', 'a ', 0, true, undefined]],
  [{ min: '1', max: '2' }, [1, '1.5', 2, '2.00'], [0.99, '2.01', 'x', true, null]],
  [{ max: '2' }, [0, -0, '0', '-0', 2], [-1, '-0.000001', -1e-7, '-10000']], // a negative amount books in the other direction
  [{ min: '-1', max: '2' }, [-1, '-0.5', 2], ['-1.01', 2.1]],
  [{ max: '-1' }, [], [-1, -2, 0]],
  [{ prefix: 'ab' }, ['ab', 'abc'], ['a', 'xab', true, 1]],
  [{ prefix: '1' }, ['1', '12'], [1, 12]],
])('%j holds of some values and of no others', (constraint, takes, refuses) => {
  expect(takes.filter((value) => !satisfies(value, constraint))).toEqual([])
  expect(refuses.filter((value) => satisfies(value, constraint))).toEqual([])
})

it.each<[child: Constraint, parent: Constraint, implies: boolean]>([
  [{ eq: '1' }, { eq: '1.0' }, true],
  [{ in: ['1', '1.0'] }, { eq: '1' }, true],
  [{ in: ['1', '2'] }, { eq: '1' }, false],
  [{ min: '1', max: '1' }, { eq: '1' }, false], // follows from both together: refused
  [{ eq: 'a' }, { in: ['b', 'a'] }, true],
  [{ in: ['a', 'c'] }, { in: ['b', 'a'] }, false],
  [{ min: '2' }, { min: '1' }, true],
  [{ min: '2' }, { min: '2.01' }, false],
  [{ max: '2' }, { min: '1' }, false],
  [{ in: ['1', '2'] }, { min: '1' }, true],
  [{ in: ['1', 'x'] }, { min: '1' }, false],
  [{ max: '2' }, { max: '2.0' }, true],
  [{ max: '2' }, { max: '1.99' }, false],
  [{ max: '2', min: '-1' }, { max: '2' }, false],
  [{ max: '2', min: '0.5' }, { max: '2' }, true],
  [{ max: '1' }, { max: '2', min: '-5' }, true],
  [{ max: '1' }, { min: '-5' }, true],
  [{ max: '1' }, { min: '0.1' }, false],
  [{ eq: '-1' }, { max: '2' }, false],
  [{ in: ['0', '-0.0', '1'] }, { max: '2' }, true],
  [{ eq: '2' }, { max: '2' }, true],
  [{ eq: '2' }, { max: '1' }, false],
  [{ prefix: 'abc' }, { prefix: 'ab' }, true],
  [{ prefix: 'a' }, { prefix: 'ab' }, false],
  [{ eq: 'abc' }, { prefix: 'ab' }, true],
  [{ eq: '12' }, { prefix: '1' }, false], // the number 12 is not a string
  [{ eq: true }, { prefix: 't' }, false],
  [{ prefix: 'a' }, {}, true],
  [{}, { prefix: 'a' }, false],
])('what satisfies %j satisfies %j: %s', (child, parent, implies) => {
  expect(impliesConstraint(child, parent)).toBe(implies)
})
