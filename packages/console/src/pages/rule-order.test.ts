import { expect, it } from 'vitest'
import { rulesTriedBefore } from './rule-order.ts'

it('names the rules that are tried before one, in the order of the server (match-rule.ts)', () => {
  const rules = [
    { id: 'tasks', order: 100 },
    { id: 'money', order: 1 },
    { id: 'b', order: 100 },
    { id: 'registry', order: 0 },
    { id: 'late', order: 200 },
  ]
  expect(rulesTriedBefore(rules, 'tasks')).toEqual(['money', 'b'])
  expect(rulesTriedBefore(rules, 'money')).toEqual([])
  expect(rulesTriedBefore(rules, 'gone')).toEqual([])
})
