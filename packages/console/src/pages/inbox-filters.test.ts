import { expect, it } from 'vitest'
import type { RequestRow } from '../types.ts'
import { viewOf } from './inbox-asks.ts'
import { arrivedWords, beyondWords, choicesIn } from './inbox-filters.ts'

const row = (id: string, rule: string | null) =>
  ({ from: { id: `spiffe://a/${id}`, name: `The ${id}` }, rule }) as RequestRow

it('offers the agents and rules in the list, and the one that is chosen though none of it is there', () => {
  const { agent, rule } = choicesIn([row('b', 'tasks'), row('a', null), row('b', 'tasks')], {
    agent: 'spiffe://a/gone',
    rule: 'tasks',
  })
  expect(agent.map(({ text }) => text)).toEqual(['The a', 'The b', 'gone'])
  expect(rule).toEqual([{ value: 'tasks', text: 'tasks' }])
})

it('says what a filter leaves out', () => {
  expect(beyondWords({ count: 1, high: 0 }, 'mine')).toBe('Filtered: 1 more request waits for you.')
  expect(beyondWords({ count: 3, high: 1 }, 'all')).toBe('Filtered: 3 more requests wait, 1 of high risk.')
  expect(beyondWords({ count: 2, high: 2 }, 'all')).toBe('Filtered: 2 more requests wait, of high risk.')
})

it('says what came, and takes an unknown view as that of the person', () => {
  expect(arrivedWords({ count: 3, high: 0 })).toBe('3 new: show')
  expect(arrivedWords({ count: 3, high: 1 })).toBe('3 new, 1 of high risk: show')
  expect(arrivedWords({ count: 1, high: 1 })).toBe('1 new, high risk: show')
  expect([viewOf('all'), viewOf('toString'), viewOf(undefined)]).toEqual(['all', 'mine', 'mine'])
})
