import { expect, it } from 'vitest'
import type { RequestRow } from '../types.ts'
import { arrivedWords, choicesIn, viewOf } from './inbox-filters.ts'

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

it('says what came, and takes an unknown view as that of the person', () => {
  expect(arrivedWords({ count: 3, high: 0 })).toBe('3 new: show')
  expect(arrivedWords({ count: 3, high: 1 })).toBe('3 new, 1 of high risk: show')
  expect(arrivedWords({ count: 1, high: 1 })).toBe('1 new, high risk: show')
  expect([viewOf('all'), viewOf('toString'), viewOf(undefined)]).toEqual(['all', 'mine', 'mine'])
})
