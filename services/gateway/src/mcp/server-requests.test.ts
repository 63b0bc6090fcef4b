import { expect, it } from 'vitest'
import { declaredBy, ServerRequests } from './server-requests.ts'

it('reads what a client declared, and nothing else', () => {
  expect(declaredBy({ capabilities: { elicitation: {}, sampling: { tools: {} }, roots: true, tasks: {} } })).toEqual([
    'sampling/createMessage',
    'elicitation/create',
  ])
  expect(declaredBy({ capabilities: [] })).toEqual([])
  expect(declaredBy({})).toEqual([])
})

it('lets a request pass that is allowed, and takes one answer to it', () => {
  const requests = new ServerRequests(['elicitation/create'])
  expect(requests.ask(1, 'sampling/createMessage')).toBe(false)
  expect(requests.ask(1, 'elicitation/create')).toBe(true)
  // A second request under the same name: its answer could not be told apart.
  expect(requests.ask(1, 'elicitation/create')).toBe(false)
  expect(requests.take('1')).toBeUndefined()
  expect([requests.take(1), requests.take(1), requests.take(undefined)]).toEqual([
    'elicitation/create',
    undefined,
    undefined,
  ])
  // While the answer is decided, another question must not take its place.
  expect(requests.ask(1, 'elicitation/create')).toBe(false)
  requests.answered(1)
  expect(requests.take(1)).toBeUndefined()
  expect(requests.ask(1, 'elicitation/create')).toBe(true)
})

it('bounds what waits (V18), and waits on where nothing was decided', () => {
  const requests = new ServerRequests(['roots/list'])
  const passed = Array.from({ length: 40 }, (_, id) => requests.ask(id, 'roots/list')).filter((each) => each)
  expect(passed).toHaveLength(32)
  requests.take(3)
  expect(requests.ask(40, 'roots/list')).toBe(false)
  requests.putBack(3)
  expect(requests.take(3)).toBe('roots/list')
  requests.answered(3)
  requests.putBack(3)
  expect(requests.take(3)).toBeUndefined()
  expect(requests.ask(40, 'roots/list')).toBe(true)
})
