import fc from 'fast-check'
import { expect, it } from 'vitest'
import { diffLines, diffOf } from './registry-diff.ts'

const before = { id: 'tasks', order: 100, approvers: { group: 'owners', quorum: 1 }, modes: ['window'] }

it('shows a new entity with all its members', () => {
  const diff = diffOf([{ type: 'rule', id: 'tasks', value: before }], () => undefined)
  expect(diffLines(diff)).toEqual([
    '+ rule tasks',
    '    id: "tasks"',
    '    order: 100',
    '    approvers.group: "owners"',
    '    approvers.quorum: 1',
    '    modes[0]: "window"',
  ])
})

it('shows of a changed entity what differs, and nothing else', () => {
  const after = { id: 'tasks', approvers: { quorum: 2, group: 'owners' }, modes: ['window', 'per_action'], match: {} }
  const diff = diffOf([{ type: 'rule', id: 'tasks', value: after }], () => before)
  expect(diffLines(diff)).toEqual([
    '~ rule tasks',
    '    order: 100 is removed',
    '    approvers.quorum: 1 becomes 2',
    '    modes[1]: "per_action"',
    '    match: {}',
  ])
})

it('shows what is retired', () => {
  const diff = diffOf([{ type: 'rule', id: 'tasks' }], () => before)
  expect(diff).toEqual([{ type: 'rule', id: 'tasks', verb: 'retire', before, after: null }])
  expect(diffLines(diff)).toEqual(['- rule tasks'])
})

it('leaves out what is already as wanted, in any order of its members', () => {
  const same = { modes: ['window'], approvers: { quorum: 1, group: 'owners' }, order: 100, id: 'tasks' }
  expect(diffOf([{ type: 'rule', id: 'tasks', value: same }], () => before)).toEqual([])
})

it('sees every difference that JSON has, and no other', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.dictionary(fc.string(), fc.jsonValue()), (a, b) => {
      const [one, other] = [JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b))]
      const diff = diffOf([{ type: 'rule', id: 'x', value: other }], () => one)
      expect(diff.length === 0).toBe(sorted(one) === sorted(other))
    }),
  )
})

const sorted = (value: unknown): string =>
  JSON.stringify(value, (_, inner) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
