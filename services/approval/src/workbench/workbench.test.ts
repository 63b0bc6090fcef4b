import { jcsHash } from '@bailiwick/credentials'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { agentId, aRule, aWorld, type World } from '../approval.fixture.ts'
import { aPerson, type Person } from '../browser.fixture.ts'

let world: World
let olga: Person
beforeAll(async () => {
  world = await aWorld({ singleOperator: false })
  olga = aPerson(world)
  expect((await olga.enrol()).status).toBe(200)
})
afterAll(() => world[Symbol.asyncDispose]())

const rule = aRule({ id: 'payments', order: 5, match: { actions: ['pay'] } })
const wanted = (value: unknown, base = 0) => ({ entities: [{ type: 'rule', id: 'payments', base, value }] })

it('previews what would be signed, and proposes it as the signed-in person', async () => {
  const preview = await olga.post('/registry/preview', wanted(rule))
  expect(preview.body).toMatchObject({
    diff: [{ type: 'rule', id: 'payments', verb: 'register', before: null, after: rule }],
    conflicts: [],
    problem: null,
    people: { quorum: 2 },
  })
  const proposed = await olga.post('/registry/changes', wanted(rule))
  expect(proposed.body).toMatchObject({ request_id: expect.stringMatching(/^req_/), diff: [{ id: 'payments' }] })
  const { body } = await olga.get(`/requests/${(proposed.body as { request_id: string }).request_id}`)
  expect(body).toMatchObject({ kind: 'registry', proposer: 'olga' })
  expect((await olga.get('/registry?q=payments')).body).toMatchObject({ total: 0 })
})

it('proposes nothing that is so already, and nothing on an old version', async () => {
  const { body } = await olga.get(`/registry/agent/${encodeURIComponent(agentId)}`)
  const { value, version } = body as { value: object; version: number }
  const same = { entities: [{ type: 'agent', id: agentId, base: version, value }] }
  expect((await olga.post('/registry/changes', same)).body).toEqual({ request_id: null, diff: [] })
  const stale = { entities: [{ type: 'agent', id: agentId, base: version - 1, value: null }] }
  expect(await olga.post('/registry/changes', stale)).toMatchObject({ status: 409 })
})

it('finds the rule for an ask, now and after the change that is prepared', async () => {
  const authority = {
    ...{ type: 'bailiwick_task', task: 'x', budget: { calls: 1 }, max_depth: 0, max_children: 0 },
    permissions: [{ actions: ['pay'], resource: { type: 'tool', id: 'bank/pay' } }],
  }
  const { entities } = wanted({ ...rule, approvers: { group: 'treasury', quorum: 2 } })
  const { body } = await olga.post('/rules/match', { agent: agentId, authority, entities })
  expect(body).toMatchObject({
    now: { rule: null, why: 'no rule holds for what is asked' },
    after: { rule: 'payments', group: 'treasury', quorum: 2, members: [], tried: [] },
  })
})

it('asks evidence about the calls of a tool server that is new: its tools were called without labels', async () => {
  const tools = { pay: { labels: ['writes'] } }
  const value = { id: 'bank', url: 'http://localhost:8431/', manifest: jcsHash(tools), tools }
  const { body } = await olga.post('/registry/impact', {
    entities: [{ type: 'tool-server', id: 'bank', base: 0, value }],
  })
  expect(body).toMatchObject({ calls: null, calls_problem: expect.stringContaining('evidence is not on this machine') })
})
