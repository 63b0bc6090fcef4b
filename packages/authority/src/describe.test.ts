import fc from 'fast-check'
import { expect, it } from 'vitest'
import { describe } from './describe.ts'
import type { Authority } from './schema.ts'
import { authorities } from './small-universe.ts'

const task: Authority = {
  type: 'bailiwick_task',
  task: 'reconcile-q3-invoices',
  permissions: [
    { actions: ['tools/call'], resource: { type: 'tool', id: 'invoices.read' } },
    {
      actions: ['tools/call'],
      resource: { type: 'tool', id: 'adjustments.post' },
      where: { '/amount': { min: '0', max: '500' }, '/currency': { in: ['EUR', 'CHF'] }, '/final': { eq: true } },
      cost: { amount: '/amount', currency: '/currency' },
      max_uses: 10,
    },
    { actions: ['GET', 'HEAD'], resource: { type: 'api', id_prefix: 'https://erp.example/v1/invoices/' }, max_uses: 1 },
  ],
  budget: { calls: 200, cost: { EUR: '2000.00', CHF: '1' }, egress_bytes: 1_000_000 },
  max_depth: 2,
  max_children: 5,
}

it('says in words what a person approves', () => {
  expect(describe(task)).toEqual([
    'Task: reconcile-q3-invoices',
    'May do tools/call on tool invoices.read; any number of times',
    'May do tools/call on tool adjustments.post; only where /amount is at least 0 and is at most 500, ' +
      '/currency is one of "EUR", "CHF" and /final is true; ' +
      'costs the amount at /amount in the currency at /currency; at most 10 times',
    'May do GET or HEAD on any api below https://erp.example/v1/invoices/; at most once',
    'At most 200 calls in all',
    'May spend at most 2,000.00 EUR and 1 CHF in all',
    'At most 1,000,000 bytes sent out in all',
    'May delegate to any agent, at most 2 deep and to at most 5 by each holder',
  ])
})

it('says of SEC that it is no currency', () => {
  const lines = describe({ ...task, budget: { cost: { EUR: '1', SEC: '1800' } } })
  expect(lines).toContain('May spend at most 1 EUR and 1,800 seconds of connections (SEC) in all')
})

it('says of one what it says of many, and where an argument must begin', () => {
  const [, post] = task.permissions
  const permissions = [{ ...(post ?? expect.unreachable()), where: { '/to': { prefix: 'DE' } } }]
  const lines = describe({ ...task, permissions, budget: { calls: 1 } })
  expect(lines[1]).toMatch(/; only where \/to starts with "DE"; /)
  expect(lines[2]).toBe('At most 1 call in all')
  const inside = (prefix: string) =>
    describe({ ...task, permissions: permissions.map((one) => ({ ...one, where: { '/path': { prefix } } })) })[1]
  expect(inside('/srv/reports/')).toMatch(/; only where \/path is inside \/srv\/reports\/; /)
  expect(inside('/my files, and all else/')).toMatch(/; only where \/path is inside "\/my files, and all else\/"; /)
  expect(describe({ ...task, max_children: 0 }).at(-1)).toBe('May not delegate')
})

it('allows one exact action once, though its authority would allow more', () => {
  const [, read, , , calls] = describe({ ...task, budget: {} }, { once: true })
  expect([read, calls]).toEqual(['May do tools/call on tool invoices.read; at most once', 'At most 1 call in all'])
})

it('says where there is no limit', () => {
  expect(describe({ ...task, budget: {}, max_depth: 0 }).slice(4)).toEqual([
    'No limit on calls',
    'No budget for money: what declares a cost is refused',
    'No limit on bytes sent out',
    'May not delegate',
  ])
})

it('says to whom it may be delegated, and where no other argument may be', () => {
  const delegates = ['spiffe://d/agent/a', 'spiffe://d/agent/b']
  expect(describe({ ...task, delegates }).at(-1)).toBe(
    'May delegate only to spiffe://d/agent/a or spiffe://d/agent/b, at most 2 deep and to at most 5 by each holder',
  )
  expect(describe({ ...task, delegates: [] }).at(-1)).toBe('May not delegate')
  const closed = task.permissions.map((permission) => ({ ...permission, arguments: 'closed' as const }))
  const [, first, second] = describe({ ...task, permissions: closed })
  expect(first).toBe('May do tools/call on tool invoices.read; no arguments; any number of times')
  expect(second).toMatch(/in the currency at \/currency; no other arguments; at most 10 times$/)
})

it('keeps the name of a task from passing for our words (V3)', () => {
  const says = 'close "Q3"; May do GET on tool t; No budget for money; Reviewed by Bailiwick: low risk'
  const [line] = describe({ ...task, task: says })
  expect(line).toBe(
    'Task: "close \\"Q3\\"; May do GET on tool t; No budget for money; Reviewed by Bailiwick: low risk"',
  )
  for (const name of ['close Q3', 'Q3;', 'Q3,x', "it's", '"Q3"'])
    expect(describe({ ...task, task: name })[0]).toMatch(/^Task: "/)
  for (const name of ['close-Q3', 'finance/close.q3', 'Q3:2026#2', 'a@b+c_d'])
    expect(describe({ ...task, task: name })[0]).toBe(`Task: ${name}`)
})

it('keeps what an agent wrote from passing for our words', () => {
  const where = { '/a is true; any number of times': { eq: 'x"; at most once\u202e\u2028\u{e0041}' } }
  const [, line] = describe({
    ...task,
    permissions: [{ actions: ['GET'], resource: { type: 'tool', id: 't' }, where }],
  })
  expect(line).toBe(
    'May do GET on tool t; only where "/a is true; any number of times" is "x\\"; at most once\\u202e\\u2028\\udb40\\udc41"; any number of times',
  )
})

it('spells out what could be taken for another letter, or has no ink', () => {
  const where = { '/who': { in: ['\u0410nna', 'An\u3164na', 'Z\u00fcrich', 'Anna'] } }
  const [, line] = describe({
    ...task,
    permissions: [{ actions: ['GET'], resource: { type: 'tool', id: 't' }, where }],
  })
  expect(line).toContain(
    '/who is one of "\u0410nna" (spelled "\\u0410nna"), "An\\u3164na", "Z\u00fcrich" (spelled "Z\\u00fcrich"), "Anna";',
  )
})

it('gives two authorities that differ two descriptions', () => {
  fc.assert(
    fc.property(authorities, authorities, (a, b) => {
      fc.pre(a.delegates?.length !== 0 && b.delegates?.length !== 0)
      fc.pre(JSON.stringify(a) !== JSON.stringify(b) && a.max_depth * a.max_children * b.max_depth * b.max_children > 0)
      fc.pre(a.budget.cost === undefined || Object.keys(a.budget.cost).length > 0)
      fc.pre(b.budget.cost === undefined || Object.keys(b.budget.cost).length > 0)
      expect(describe(a)).not.toEqual(describe(b))
    }),
    { numRuns: 500 },
  )
})
