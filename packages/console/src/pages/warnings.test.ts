import { expect, it } from 'vitest'
import type { RequestDetail } from '../types.ts'
import { warningsOf } from './warnings.ts'

const calm = {
  kind: 'access',
  risk: { level: 'medium', score: 10, reasons: [{ level: 'medium', text: 'Can spend money' }] },
  agent_stopped: null,
  reopened: null,
  earlier: null,
  last_approved: null,
}
const of = (over: object) => warningsOf({ ...calm, ...over } as unknown as RequestDetail)
const high = { risk: { level: 'high', score: 1000, reasons: [{ level: 'high', text: 'Can delete' }] } }

it('warns of nothing where nothing is unusual', () => {
  expect(of({})).toEqual([])
  expect(of({ earlier: { relation: 'narrower' } })).toEqual([])
  expect(of({ kind: 'registry', starved: [] })).toEqual([])
  expect(of({ earlier: { relation: 'wider' }, last_approved: { same_task: true, relation: 'same' } })).toEqual([])
  expect(of({ last_approved: { same_task: false, relation: 'wider' } })).toEqual([])
})

it.each([
  ['a high risk', high, 'Can delete'],
  ['a stop', { agent_stopped: { by: 'bob' } }, 'This agent was stopped after it asked, by bob: it would work again'],
  ['a stop, for a step-up', { kind: 'step_up', agent_stopped: { by: 'bob' } }, 'stopped after it asked'],
  ['a change since', { reopened: 'policy_changed' }, 'the earlier signatures no longer count'],
  ['more than last time', { earlier: { relation: 'wider' } }, 'more than last time'],
  ['more than was last approved', { last_approved: { same_task: true, relation: 'wider' } }, 'more than last time'],
  ['other things than last time', { earlier: { relation: 'different' } }, 'or other things'],
  ['a rule without people', { kind: 'registry', starved: [{ rule: 'money' }] }, '“money” matches'],
])('warns of %s', (_, over, words) => {
  expect(of(over)).toEqual([expect.stringContaining(words)])
})
