import { setTimeout as wait } from 'node:timers/promises'
import { requestIdOf } from '@bailiwick/approval-statement'
import { actionText, jcsHash, sha256, signAccessRequest } from '@bailiwick/credentials'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { agentId, agentOf, anAsk, aRule, authority, aWorld, otherAgentId, type World } from '../approval.fixture.ts'
import { aPerson, type Person } from '../browser.fixture.ts'
import { listen } from './listen.fixture.ts'

let world: World
let olga: Person
beforeAll(async () => {
  const adjusting = { resources: [{ type: 'tool', id: 'invoices/adjust' }] }
  world = await aWorld({ moreRules: [aRule({ id: 'adjusting', order: 1, match: adjusting })] })
  olga = aPerson(world)
  expect((await olga.enrol()).status).toBe(200)
})
afterAll(() => world[Symbol.asyncDispose]())

type Rows = { items: { id: string; subject: string; state: string; risk: { level: string } }[]; next?: string }

const asked = async (over: object = {}, agent = agentOf(world)) => {
  const submitted = await agent.submit(agent.sign(over))
  expect(submitted.statusCode, submitted.body).toBe(202)
  return submitted.json().task.id as string
}
const list = async (query = '') => (await olga.get(`/requests${query}`)).body as unknown as Rows
const detail = async (id: string) => (await olga.get(`/requests/${id}`)).body

describe('what the console reads', () => {
  it('is only for people who are signed in', async () => {
    const stranger = aPerson(world)
    for (const path of [
      'me',
      'requests',
      'grants',
      'agents',
      'registry',
      'rules',
      'people',
      'events',
      'requests/req_x',
    ])
      expect([path, (await stranger.get(`/${path}`)).status]).toEqual([path, path === 'requests/req_x' ? 400 : 401])
  })

  it('refuses a question that it does not know', async () => {
    for (const query of ['?state=all', '?cursor=x', '?cursor=1_2_', '?q=', '?limit=9999', `?q=${'x'.repeat(201)}`])
      expect([query, (await olga.get(`/requests${query}`)).status]).toEqual([query, 400])
  })

  it('has the riskiest first, and finds by agent and by words', async () => {
    const mild = await asked({ authority: { ...authority, task: 'mild one' } })
    const wild = await asked({ authority: { ...authority, task: 'wild one', budget: {} } })
    const other = await asked(
      { sub: `${otherAgentId}/one`, authority: { ...authority, task: 'of another' } },
      agentOf(world, world.keys.other, `${otherAgentId}/one`),
    )
    const ids = (await list()).items.map(({ id }) => id)
    expect(ids.indexOf(wild)).toBeLessThan(ids.indexOf(mild))
    expect((await list('?q=WILD+one')).items).toMatchObject([
      { id: wild, subject: 'wild one', task: 'wild one', limits: { permissions: 1, budget: {}, max_depth: 0 } },
    ])
    expect((await list(`?agent=${otherAgentId}`)).items).toMatchObject([{ id: other }])
    expect((await list('?q=nothing+of+this+kind')).items).toEqual([])
    await olga.post(`/requests/${mild}/deny`)
    expect((await list('?q=mild')).items).toEqual([])
    expect((await list('?state=answered&q=mild')).items).toMatchObject([{ id: mild, state: 'denied' }])
    for (const id of [wild, other]) await olga.post(`/requests/${id}/deny`)
  })

  it('finds by the owner’s name, by actions and resources, and filters by risk, mode and rule', async () => {
    const permissions = [{ actions: ['tools/call'], resource: { type: 'tool', id: 'invoices/adjust' } }]
    const id = await asked({ authority: { ...authority, task: 'find me', permissions } })
    for (const q of ['olga', 'tools/call', 'find+invoices/adjust', 'Olga+find'])
      expect([q, (await list(`?q=${q}`)).items.map((row) => row.id)]).toEqual([q, expect.arrayContaining([id])])
    const found = async (query: string) => (await list(`?q=find+me&${query}`)).items.map((row) => row.id)
    const [row] = (await list('?q=find+me')).items as never as {
      risk: { level: string }
      mine: boolean
      rule: string
    }[]
    expect(row).toMatchObject({ mine: true, rule: 'adjusting' })
    for (const yes of [`risk=${row?.risk.level}`, 'mode=window', 'rule=adjusting', 'mine=true'])
      expect([yes, await found(yes)]).toEqual([yes, [id]])
    for (const no of ['risk=high', 'mode=continuous', 'rule=tasks']) expect([no, await found(no)]).toEqual([no, []])
    expect((await list('?mine=false')) as object).toMatchObject({ status: 400 })
    await olga.post(`/requests/${id}/deny`)
  })

  it('says what is new since the same task was asked last, and what that got', async () => {
    const task = { ...authority, task: 'again' }
    const first = await asked({ authority: task, expires_in_seconds: 1800 })
    expect(await detail(first)).toMatchObject({ earlier: null, may_approve: true, may_deny: true })
    await olga.approve(first, { authority: { ...task, budget: { calls: 5 } } })
    const second = await asked({ authority: { ...task, budget: { calls: 30 } }, expires_in_seconds: 3600 })
    expect(await detail(second)).toMatchObject({
      earlier: {
        id: first,
        state: 'approved',
        relation: 'wider',
        added: ['At most 30 calls in all', 'Within 60 min'],
        removed: ['At most 20 calls in all', 'Within 30 min'],
        narrowed: true,
      },
      similar: [{ id: first, state: 'approved', by: ['olga'], narrowed: true }, expect.anything(), expect.anything()],
    })
    // A later request does not count as an earlier one, and a request that still waits has no result yet.
    const older = (await detail(first)) as { earlier: null; similar: { id: string }[] }
    expect(older.earlier).toBeNull()
    expect(older.similar.map(({ id }) => id)).not.toContain(second)
    await olga.post(`/requests/${second}/deny`)
    const { items } = (await olga.get('/grants')).body as never as { items: object[] }
    expect(items).toMatchObject([{ task: 'again', state: 'active', budget: { calls: 5 }, chain: [] }])
  })

  it('shows with each part of a task what else was asked with it', async () => {
    const permissions = ['invoices/read', 'invoices/adjust'].map((id) => ({
      actions: ['tools/call'],
      resource: { type: 'tool', id },
    }))
    await asked({ authority: { ...authority, task: 'split', permissions } })
    const { items } = await list('?q=split')
    expect(items).toMatchObject([{ task: 'split' }, { task: 'split' }])
    const parts = [1, 2].map((number) => ({ number, state: 'pending', group: 'owners', quorum: 1, signed_by: [] }))
    for (const { id } of items) expect(await detail(id)).toMatchObject({ part: { of: 2 }, parts, earlier: null })
    const [first, second] = ((await detail(items[0]?.id ?? '')) as { parts: { id: string; lines: string[] }[] }).parts
    expect([first?.lines, second?.lines]).toEqual([
      ['May do tools/call on tool invoices/read; any number of times'],
      ['May do tools/call on tool invoices/adjust; any number of times'],
    ])
    await olga.approve(first?.id ?? '')
    expect(await detail(second?.id ?? '')).toMatchObject({ parts: [{ state: 'approved' }, { state: 'pending' }] })
    await olga.post(`/requests/${second?.id}/deny`)
  })

  it('renders no statement of an unreadable ask, which can still be denied (V3)', async () => {
    const values = Array.from({ length: 8 }, (_, n) => `${n}`.repeat(900))
    const where = { '/to': { in: values } }
    const [permission] = authority.permissions
    const id = await asked({ authority: { ...authority, task: 'long', permissions: [{ ...permission, where }] } })
    expect(await detail(id)).toMatchObject({
      may_approve: false,
      may_deny: true,
      why_not: 'request_not_inspectable',
      risk: { level: 'high', reasons: [{ text: 'Contains something that Bailiwick cannot explain' }] },
      unexplained: ['authority: longer than anybody reads'],
    })
    expect(await olga.statement(id)).toMatchObject({ status: 422, body: { code: 'request_not_inspectable' } })
    // A narrower statement is refused too: the original ask stays as it was.
    expect(await olga.statement(id, { authority: { ...authority, task: 'long' } })).toMatchObject({ status: 422 })
    expect((await olga.post(`/requests/${id}/deny`)).status).toBe(200)
  })

  it('shows a step-up as one more action of its grant, first of all, and takes a signature for it (V3)', async () => {
    const task = { ...authority, task: 'stepping up' }
    const { body: approved } = await olga.approve(await asked({ authority: task }))
    const grant_id = String(approved.grant_id)
    const resource = { type: 'tool', id: 'invoices/read' }
    const text = actionText({ name: 'tools/call', properties: { invoice: 'INV-1' }, resource })
    const action_digest = sha256(text)
    const words = { about: 'an ask', salt: Buffer.alloc(16).toString('base64url'), text }
    const kept = await world.operator.inject({ method: 'POST', url: '/operator/values', payload: words })
    const ask = anAsk(world.trust, { authority: task, mode: 'per_action', action_digest, grant_id })
    const request = signAccessRequest(ask, world.keys.one)
    const id = requestIdOf(request)
    await world.approval.publishOne('approvals.v1', {
      type: 'request.received',
      subject: id,
      version: 1,
      data: {
        kind: 'step_up',
        request_id: id,
        request,
        request_hash: jcsHash(ask),
        agent: `${agentId}/one`,
        instance_key: world.keys.one.kid,
        grant_id,
        action: { name: 'tools/call', resource, action_digest },
        arguments: kept.json(),
        denial: { decision_id: `dec_${'0'.repeat(26)}`, reason: 'step_up_required' },
        received_by: 'http',
        expires_at: new Date(Date.now() + 600_000).toISOString(),
      },
    })
    const shown = async () => (await detail(id)).kind === 'step_up'
    for (let n = 0; n < 100 && !(await shown()); n++) await wait(10)
    expect((await list()).items[0]).toMatchObject({
      ...{ id, subject: 'tools/call on tool invoices/read', task: 'stepping up', limits: null },
    })
    expect(await detail(id)).toMatchObject({
      kind: 'step_up',
      risk: { level: 'high' },
      lines: expect.arrayContaining(['Once, now: tools/call on tool invoices/read']),
      grant: { id: grant_id, state: 'active' },
      rule: { id: 'tasks', quorum: 1, narrowing: false },
      may_approve: true,
      may_deny: true,
      arguments: { text },
      unexplained: [],
    })
    expect((await olga.approve(id)).body).toMatchObject({ status: 'approved' })
    expect((await list('?state=answered')).items[0]).toMatchObject({ id, state: 'approved' })
  })
})

describe('server-sent events', () => {
  const until = async (holds: () => boolean) => {
    for (let n = 0; n < 200 && !holds(); n++) await wait(20)
    expect(holds()).toBe(true)
  }

  it('say that something changed and never what, and end with the session, or with a fifth page', async () => {
    const base = await world.http.listen({ port: 0 })
    const bystander = aPerson(world, olga.passkey)
    await bystander.signIn()
    const pages = [await listen(base, olga.cookie)]
    const [first] = pages
    expect(first?.response.headers.get('content-type')).toBe('text/event-stream')
    expect(first?.response.headers.get('content-security-policy')).toMatch(/default-src 'none'/)
    const id = await asked({ authority: { ...authority, task: 'not to be told' } })
    await until(() => first?.said.text.includes('event: change') === true)
    expect(first?.said.text).toContain('{"changed":["requests"],"arrived":1}')
    expect(first?.said.text).not.toContain('not to be told')

    for (let n = 0; n < 4; n++) pages.push(await listen(base, olga.cookie))
    await until(() => first?.said.ended === true)
    const other = await listen(base, bystander.cookie)
    await bystander.post('/session/end')
    await until(() => other.said.ended)
    expect(other.said.text).toContain('event: ended')
    expect(pages.slice(1).map(({ said }) => said.ended)).toEqual([false, false, false, false])
    await olga.post(`/requests/${id}/deny`)
  })
})
