import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EnforcementPoint } from './enforcement-point.ts'
import { aPoint, FakePdp } from './pdp.fixture.ts'

let pdp: FakePdp
let point: EnforcementPoint
beforeAll(async () => {
  pdp = await FakePdp.start()
  point = await aPoint(pdp)
})
afterAll(async () => {
  await point?.[Symbol.asyncDispose]()
  await pdp?.[Symbol.asyncDispose]()
})

const action = {
  name: 'model/invoke',
  properties: { model: 'm', cost: { amount: '1', currency: 'USD' } },
  resource: { type: 'model', id: 'acme/m' },
}
const ask = () =>
  point.budget({
    ...{ credential: 'a.b.c', proof: 'd.e.f', htm: 'POST', htu: 'https://api.example/x', manifest: 'h' },
    action,
  })
const budget = { cost: { USD: '0.5' }, priced: [{ amount: '/cost/amount', currency: '/cost/currency' }, null] }

it('is asked with the action as it is planned, and takes nothing', async () => {
  pdp.answer = () => ({ body: { results: [{ type: 'agent', id: 'x' }], context: { budget } } })
  expect(await ask()).toEqual(budget)
  expect(pdp.evaluations.at(-1)).toMatchObject({
    action: { name: action.name, properties: action.properties },
    resource: action.resource,
    context: { bailiwick: { credential: 'a.b.c', proof: 'd.e.f', manifest: 'h', budget: true } },
  })
  expect(pdp.outcomes).toEqual([])
})

it('is known too where the action as planned would be refused', async () => {
  pdp.answer = () => ({ body: { results: [], context: { reason: 'budget_exhausted', budget } } })
  expect(await ask()).toEqual(budget)
})

describe('an answer without it is a refusal (V13)', () => {
  it.each([
    ['a reason', { body: { results: [], context: { reason: 'grant_revoked' } } }, 'grant_revoked'],
    ['an older decision point', { body: { results: [{ type: 'agent', id: 'x' }] } }, 'pdp_unavailable'],
    [
      'a negative amount',
      { body: { results: [], context: { budget: { cost: { USD: '-1' }, priced: [] } } } },
      'pdp_unavailable',
    ],
    ['a float', { body: { results: [], context: { budget: { cost: { USD: 1.5 }, priced: [] } } } }, 'pdp_unavailable'],
    ['an error', { status: 500 }, 'pdp_unavailable'],
    ['a question that it does not take', { status: 400 }, 'request_invalid'],
    ['too many questions', { status: 429, headers: { 'retry-after': '2' } }, 'queue_full'],
  ])('%s', async (_, answer, reason) => {
    pdp.answer = () => answer
    expect(await ask()).toMatchObject({ allowed: false, reason })
  })
})
