import { expect, it } from 'vitest'
import { countsCost, labelsOfTool, labelsWithin, toolServerOf } from './tool-labels.ts'

const cost = { amount: '/cost/amount', currency: '/cost/currency' }
const tools = { small: { labels: ['cheap'], cost }, 'acme/large': { labels: [], cost } }
const servers = new Map([['acme', { id: 'acme', tools }]])

it.each([
  ['tool', 'acme/small', 'acme'],
  ['model', 'acme/small', 'acme'],
  ['model', 'acme/acme/large', 'acme'],
  ['model', 'small', undefined],
  ['api', 'acme/small', undefined],
])('the server of a %s %s is %s', (type, id, server) => {
  expect(toolServerOf({ type, id })).toBe(server)
})

it('describes a model as it describes a tool, and calls one that no one described unlabelled', () => {
  expect(labelsOfTool({ type: 'model', id: 'acme/small' }, servers)).toEqual(['cheap'])
  expect(labelsOfTool({ type: 'model', id: 'acme/acme/large' }, servers)).toEqual([])
  expect(labelsOfTool({ type: 'model', id: 'acme/other' }, servers)).toEqual(['unlabelled'])
  expect(labelsWithin({ type: 'model', id_prefix: 'acme/' }, servers)).toEqual([['unlabelled'], ['cheap'], []])
})

it('believes the cost of a permission for a model only at the arguments that the registry names', () => {
  const permission = { actions: ['model/invoke'], resource: { type: 'model', id: 'acme/small' } }
  expect(countsCost({ ...permission, cost }, servers)).toBe(true)
  expect(countsCost({ ...permission, cost: { ...cost, amount: '/max_output_tokens' } }, servers)).toBe(false)
  expect(countsCost(permission, servers)).toBe(false)
})
