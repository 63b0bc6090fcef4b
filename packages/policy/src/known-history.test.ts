import { expect, it } from 'vitest'
import { historyIn, requireKnownHistory } from './known-history.ts'
import { shapesOf } from './schema-shapes.ts'

const withHistory = (history: string) =>
  shapesOf(`entity A; action a appliesTo { principal: A, resource: A, context: { history: ${history} } };`)

it('takes every fact that there is, each of its type', () => {
  const facts =
    '{ labels: Set<String>, calls: Long, denials: Long, depth: Long, count: { x: Long }, last: { x?: Long }, spent: { EUR: decimal, x: { EUR: decimal } } }'
  const ofOwner = facts.replace(' denials: Long,', '')
  const all = withHistory(`{ task: ${facts}, agent?: ${facts}, owner: ${ofOwner} }`)
  expect(() => requireKnownHistory(all)).not.toThrow()
  expect(() => requireKnownHistory(shapesOf('entity A; action a;'))).not.toThrow()
})

it.each([
  ['{ team: { calls: Long } }', 'team'],
  ['{ task: { call: Long } }', 'task.call'],
  ['{ task: { toString: Long } }', 'task.toString'],
  ['{ task: { calls: String } }', 'task.calls'],
  ['{ agent: { depth: decimal } }', 'agent.depth'],
  ['{ agent: { denials: Bool } }', 'agent.denials'],
  ['{ owner: { denials: Long } }', 'owner.denials'],
  ['{ owner: { calls: String } }', 'owner.calls'],
  ['{ task: { labels: Set<Long> } }', 'task.labels'],
  ['{ task: { labels: String } }', 'task.labels'],
  ['{ task: { count: { x: Long, y: String } } }', 'task.count'],
  ['{ task: { count: Long } }', 'task.count'],
  ['{ task: { last: { x?: Long, y: Long } } }', 'task.last'],
  ['{ task: { last: { x?: String } } }', 'task.last'],
  ['{ task: { spent: { EUR: Long } } }', 'task.spent'],
  ['{ task: { spent: { x: { EUR: datetime } } } }', 'task.spent'],
])('refuses %s, which no call would have: %s (V13)', (history, at) => {
  expect(() => requireKnownHistory(withHistory(history))).toThrow(
    expect.objectContaining({ code: 'config_invalid', detail: expect.stringContaining(`context.history.${at}:`) }),
  )
})

it('says why it refuses a history, in words', () => {
  const refused = (history: string, why: string) =>
    expect(() => requireKnownHistory(withHistory(history))).toThrow(new RegExp(`: .*${why}`))
  refused('{ team: { calls: Long } }', 'task, agent and owner')
  refused('{ owner: { denials: Long } }', 'by task and by agent')
  refused('{ task: { call: Long } }', 'not a fact of the history')
  refused('{ task: { last: { x: Long } } }', 'must be optional')
})

it('finds the history in a context', () => {
  const shapes = withHistory('{ task: { calls: Long } }')
  expect(historyIn(shapes.context({ type: 'Action', id: 'a' }))?.kind).toBe('Record')
  expect(historyIn(shapes.context({ type: 'Action', id: 'b' }))).toBeUndefined()
  expect(historyIn(undefined)).toBeUndefined()
})
