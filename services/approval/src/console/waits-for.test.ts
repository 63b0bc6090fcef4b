import { afterAll, beforeAll, expect, it } from 'vitest'
import { agentId, agentOf, aRule, authority, aWorld, type World } from '../approval.fixture.ts'
import { aPerson, type Person } from '../browser.fixture.ts'
import { waitsFor } from './waits-for.ts'

const match = { resources: [{ type: 'tool', id: 'invoices/adjust' }] }
const money = aRule({ id: 'money', order: 1, match, owner_may_approve: false })
let world: World
let olga: Person
beforeAll(async () => {
  world = await aWorld({
    moreRules: [money],
    singleOperator: false,
  })
  olga = aPerson(world)
  await olga.enrol()
})
afterAll(() => world[Symbol.asyncDispose]())

it.each([
  ['any approver, where no group is named', { group: null, notBy: null }, [], true],
  ['a member of the group', { group: 'owners', notBy: null }, [], true],
  ['no member of another group', { group: 'treasury', notBy: null }, [], false],
  ['not the owner, where another person must answer', { group: 'owners', notBy: 'olga' }, [], false],
  ['not a person who signed already', { group: 'owners', notBy: null }, ['olga'], false],
  ['a person, though another one signed', { group: 'owners', notBy: null }, ['bob'], true],
])('a request waits for %s', (_, answerers, signedBy, waits) => {
  expect(waitsFor({ rule: 'r', ...answerers }, { id: 'olga', groups: ['owners'] }, signedBy)).toBe(waits)
})

it('counts as a person’s own only what waits for them, and lists that alone on request', async () => {
  const agent = agentOf(world)
  const ask = async (id: string) => {
    const permissions = [{ actions: ['tools/call'], resource: { type: 'tool', id } }]
    const submitted = await agent.submit(agent.sign({ authority: { ...authority, task: id, permissions } }))
    return submitted.json().task.id as string
  }
  const [mine, theirs] = [await ask('invoices/read'), await ask('invoices/adjust')]
  const listed = async (query: string) => {
    const { items } = (await olga.get(`/requests${query}`)).body as never as { items: { id: string; mine: boolean }[] }
    return Object.fromEntries(items.map((row) => [row.id, row.mine]))
  }
  expect(await listed('')).toEqual({ [mine]: true, [theirs]: false })
  expect(await listed('?mine=true')).toEqual({ [mine]: true })
  expect((await olga.get('/me')).body).toMatchObject({ pending: 1, pending_in_all: 2 })

  // Arrivals are counted, and shown when the person asks for them.
  const { body } = await olga.get('/requests')
  const { now } = body as { now: string }
  const late = await ask('invoices/read-late')
  const { body: held } = await olga.get(`/requests?until=${now}`)
  expect(held).toMatchObject({ items: [{}, {}], arrived: { count: 1, high: 0 } })
  expect((await olga.get(`/requests?until=${now}&mine=true`)).body).toMatchObject({ items: [{ id: mine }] })
  expect((await olga.get(`/requests?until=${now}&risk=high`)).body).toMatchObject({ arrived: { count: 0 } })

  // The hidden requests are counted too, whenever they came.
  const beyond = async (query: string) => ((await olga.get(`/requests?${query}`)).body as { beyond?: object }).beyond
  expect(await beyond('')).toEqual({ count: 0, high: 0 })
  expect(await beyond(`until=${now}`)).toEqual({ count: 0, high: 0 })
  expect(await beyond('risk=high')).toEqual({ count: 3, high: 0 })
  expect(await beyond(`until=${now}&q=read`)).toEqual({ count: 1, high: 0 })
  expect(await beyond('mine=true&q=nothing')).toEqual({ count: 2, high: 0 })
  expect(await beyond('state=answered&q=nothing')).toEqual({ count: 0, high: 0 })
  await olga.post(`/requests/${late}/deny`)
  expect((await olga.get(`/requests?until=${now}`)).body).toMatchObject({ arrived: { count: 0, high: 0 } })

  // A request that waits although its agent was stopped says so.
  const shown = async () => {
    const { items } = (await olga.get('/requests')).body as never as { items: { agent_stopped_at: string | null }[] }
    return items.map((row) => row.agent_stopped_at !== null)
  }
  expect(await shown()).toEqual([false, false])
  await olga.post('/stops', { kind: 'agent', target: agentId })
  expect(await shown()).toEqual([true, true])
  expect((await olga.get(`/requests/${mine}`)).body).toMatchObject({ agent_stopped: { by: 'olga' } })
})

it('counts anew when a rule names another group', async () => {
  await using other = await aWorld({ moreRules: [money] })
  const person = aPerson(other)
  await person.enrol()
  const agent = agentOf(other)
  const submitted = await agent.submit(agent.sign({ authority: { ...authority, task: 'whose' } }))
  expect(submitted.statusCode).toBe(202)
  const pending = async () => (await person.get('/me')).body.pending
  await expect.poll(pending).toBe(1)
  const value = aRule({ approvers: { group: 'treasury', quorum: 1 } })
  const payload = { proposer: 'carl', entities: [{ type: 'rule', id: value.id, value }] }
  const proposed = await other.operator.inject({ method: 'POST', url: '/operator/registry/changes', payload })
  const { request_id } = proposed.json() as { request_id: string }
  expect((await person.approve(request_id)).body).toMatchObject({ status: 'approved', applied: true })
  await expect.poll(pending).toBe(0)
  expect((await person.get('/me')).body.pending_in_all).toBe(1)
})
