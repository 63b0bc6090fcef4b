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

const search = (resource: { type: string; id?: string; prefix?: string } = { type: 'tool' }) =>
  point.search({
    ...{ credential: 'a.b.c', proof: 'd.e.f', htm: 'POST', htu: 'https://api.example/mcp', manifest: 'm' },
    action: { name: 'tools/call' },
    resource,
  })

it('finds what the decision point names, and leaves arguments open', async () => {
  pdp.answer = () => ({ body: { results: [{ type: 'tool', id: 'erp/read' }] } })
  expect(await search()).toEqual({ found: ['erp/read'] })
  expect(pdp.evaluations.at(-1)).toMatchObject({
    subject: { type: 'agent', id: 'unknown' },
    action: { name: 'tools/call' },
    resource: { type: 'tool' },
    context: { bailiwick: { credential: 'a.b.c', proof: 'd.e.f', manifest: 'm', any_arguments: true } },
  })
})

it('leaves out what begins otherwise, if it is asked to', async () => {
  pdp.answer = () => ({ body: { results: [] } })
  await search({ type: 'tool', prefix: 'erp/' })
  expect(pdp.evaluations.at(-1)).toMatchObject({
    resource: { type: 'tool' },
    context: { bailiwick: { resource_prefix: 'erp/' } },
  })
  expect(pdp.evaluations.at(-1)).not.toHaveProperty('resource.prefix')
})

it('says why nothing was found; a reason that it does not know is still a reason', async () => {
  pdp.answer = () => ({ body: { results: [], context: { reason: 'grant_revoked' } } })
  expect(await search({ type: 'tool', id: 'erp/read' })).toEqual({ found: [], reason: 'grant_revoked' })
  pdp.answer = () => ({ body: { results: [], context: { reason: 'of_tomorrow' } } })
  expect(await search()).toEqual({ found: [], reason: 'internal' })
})

describe('an answer that is none finds nothing (V13)', () => {
  it.each([
    ['an error', { status: 500 }, 'pdp_unavailable'],
    ['a decision', { body: { decision: true } }, 'pdp_unavailable'],
    ['no JSON', { text: 'yes' }, 'pdp_unavailable'],
    ['a question that it does not take', { status: 400 }, 'request_invalid'],
    ['too many questions', { status: 429, headers: { 'retry-after': '2' } }, 'queue_full'],
  ])('%s', async (_, answer, reason) => {
    pdp.answer = () => answer
    expect(await search()).toMatchObject({ allowed: false, reason })
  })
})
