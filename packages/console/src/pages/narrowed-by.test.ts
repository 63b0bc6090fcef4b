import { expect, it } from 'vitest'
import type { Authority } from '../types.ts'
import { field, narrowedBy } from './narrowed-by.ts'

const authority: Authority = {
  task: 't',
  permissions: [
    { actions: ['tools/call'], resource: { type: 'tool', id: 'invoices/read' } },
    {
      actions: ['tools/call'],
      resource: { type: 'tool', id: 'invoices/adjust' },
      where: { '/amount': { max: '500' }, '/currency': { in: ['EUR'] } },
      max_uses: 10,
    },
  ],
  budget: { calls: 200, cost: { EUR: '2000.00' } },
  max_depth: 2,
  max_children: 5,
}
const continuous = { reattest_seconds: 600, outcome_seconds: 60 }

/** The form as it is when it opens. */
const untouched = {
  [field.keep(0)]: 'on',
  [field.uses(0)]: '',
  [field.keep(1)]: 'on',
  [field.uses(1)]: '10',
  [field.argument(1, '/amount')]: '500',
  calls: '200',
  egress: '',
  [field.cost('EUR')]: '2000.00',
  depth: '2',
  children: '5',
  reattest: '600',
  outcome: '60',
  minutes: '',
}
function narrowed(changes: Record<string, string | undefined>) {
  const data = new FormData()
  for (const [name, value] of Object.entries({ ...untouched, ...changes }))
    if (value !== undefined) data.set(name, value)
  return narrowedBy({ authority, continuous }, data, 0)
}
const [read, adjust] = authority.permissions

it('rejects a form without a change, and a form without any permission', () => {
  expect(narrowed({})).toMatch(/^Nothing is narrower yet/)
  expect(narrowed({ [field.keep(0)]: undefined, [field.keep(1)]: undefined })).toMatch(/^Nothing is left/)
})

it.each<[string, Record<string, string | undefined>, object]>([
  ['a permission that goes', { [field.keep(1)]: undefined }, { authority: { ...authority, permissions: [read] } }],
  [
    'uses where there was no limit',
    { [field.uses(0)]: '3' },
    { authority: { ...authority, permissions: [{ ...read, max_uses: 3 }, adjust] } },
  ],
  [
    'each amount',
    { [field.argument(1, '/amount')]: '99.50' },
    {
      authority: {
        ...authority,
        permissions: [read, { ...adjust, where: { '/amount': { max: '99.50' }, '/currency': { in: ['EUR'] } } }],
      },
    },
  ],
  [
    'the budget',
    { calls: '9', egress: '0', [field.cost('EUR')]: '10' },
    { authority: { ...authority, budget: { calls: 9, egress_bytes: 0, cost: { EUR: '10' } } } },
  ],
  ['passing it on', { depth: '0' }, { authority: { ...authority, max_depth: 0 } }],
  ['the number of sub-agents', { children: '1' }, { authority: { ...authority, max_children: 1 } }],
  ['the freshness limits', { outcome: '30' }, { continuous: { reattest_seconds: 600, outcome_seconds: 30 } }],
  ['how long', { minutes: '2' }, { not_after: '1970-01-01T00:02:00.000Z' }],
])('narrows %s, and leaves everything else as it was asked', (_, changes, answer) => {
  expect(narrowed(changes)).toEqual(answer)
})
