import { randomBytes } from 'node:crypto'
import type { Grant } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import { delegationId, signDelegation } from '@bailiwick/credentials'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { agentId, aWorld, otherAgentId, type World } from '../approval.fixture.ts'
import { aPerson, type Person } from '../browser.fixture.ts'

type Rows = { items: { id: string; task: string; state: string; created_at: string }[]; next?: string }

const count = 120
let world: World
let olga: Person
let made: string[]
beforeAll(async () => {
  world = await aWorld()
  olga = aPerson(world)
  expect((await olga.enrol()).status).toBe(200)
  made = []
  for (let n = 0; n < count; n++) made.push(await granted(n))
})
afterAll(() => world[Symbol.asyncDispose]())

/** A grant with as much as a list shows. Every third belongs to another agent. */
async function granted(n: number, lastsMs = 3600_000): Promise<string> {
  const id = `grt_${randomBytes(32).toString('base64url')}`
  const { grant } = exampleEvent('grants.v1', 'grant.created').data as { grant: Grant }
  const agent = `${n % 3 === 0 ? otherAgentId : agentId}/one`
  const not_after = new Date(Date.now() + lastsMs).toISOString()
  const data = {
    grant: { ...grant, id, agent, not_after, as_of: 0, authority: { ...grant.authority, task: `Task:${n}.` } },
  }
  await world.issuer.producer.publishOne('grants.v1', { type: 'grant.created', subject: id, version: 1, data })
  return id
}

async function all(query: string): Promise<Rows['items']> {
  const items: Rows['items'] = []
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const page: Rows = (await olga.get(`/grants?${query}${cursor && `&cursor=${cursor}`}`)).body as unknown as Rows
    expect(page.items.length).toBeLessThanOrEqual(50)
    items.push(...page.items)
    cursor = page.next
  }
  return items
}

it('lists grants page by page, the newest first, each once, by state, agent and words', async () => {
  const ids = async (query: string) => (await all(query)).map(({ id }) => id)
  await expect.poll(async () => (await all('state=active')).length).toBe(count)
  expect((await ids('state=active')).toSorted()).toEqual(made.toSorted())
  const times = (await all('state=active')).map(({ created_at }) => created_at)
  expect(times).toEqual(times.toSorted().toReversed())
  expect(await ids('state=ended')).toEqual([])
  const active = async (id: string) => {
    const { items } = (await olga.get('/agents')).body as unknown as { items: { id: string; active: number }[] }
    return items.find((agent) => agent.id === id)?.active
  }
  expect(await active(otherAgentId)).toBe(count / 3)
  expect(await ids('state=all&q=TASK:77.')).toEqual([made[77]])
  expect(await ids(`state=all&q=${made[5]}`)).toEqual([made[5]])
  expect(await ids(`state=all&agent=${encodeURIComponent(otherAgentId)}`)).toHaveLength(count / 3)
  const target = otherAgentId
  const over = await granted(3000, -1000)
  await expect.poll(() => ids(`state=ended&q=${over}`)).toEqual([over])
  expect(await stopOf(target)).toBeNull()
  const { body: stopped } = await olga.post('/stops', { kind: 'agent', target })
  expect(await stopOf(target)).toMatchObject({ by: 'olga', sequence: stopped.revoked_sequence })
  expect(await ids('state=ended')).toHaveLength(count / 3 + 1)
  expect([await active(otherAgentId), await active(agentId)]).toEqual([0, (count / 3) * 2])
  expect((await all('state=ended&q=task:99.')).map(({ state }) => state)).toEqual(['revoked'])
  const one = async (id: string) => (await olga.get(`/agents/${encodeURIComponent(id)}`)).body
  expect(await one(target)).toMatchObject({
    ...{ id: target, may_stop: true, stop: { by: 'olga', sequence: stopped.revoked_sequence } },
    agent: { id: target, active: 0, stopped: { by: 'olga' } },
  })
  expect(await one(agentId)).toMatchObject({ agent: { active: (count / 3) * 2, stopped: null }, stop: null })
  const none = 'spiffe://acme.example/agent/none'
  expect(await one(none)).toEqual({ id: none, agent: null, may_stop: false, stop: null })
  // It had already expired: the revocation stopped nothing.
  expect(await all(`state=ended&q=${over}`)).toMatchObject([{ state: 'expired', revoked: null }])
})

/** A grant that passed a part of itself on: to the first instance of the other agent. Returns both ids. */
async function passedOn(n: number): Promise<[string, string]> {
  const key = world.keys.one
  const { grant } = exampleEvent('grants.v1', 'grant.created').data as { grant: Grant }
  const id = `grt_${randomBytes(32).toString('base64url')}`
  const asked = grant.authority as typeof grant.authority & { permissions: object[]; budget: object }
  const authority = { ...asked, task: `Task:${n}.`, max_depth: 2, max_children: 5 }
  const holder = { agent: `${agentId}/one`, instance_key: key.kid, authority, as_of: 9 }
  const made = { ...grant, ...holder, id, not_after: new Date(Date.now() + 3600_000).toISOString() }
  const publish = world.issuer.producer
  await publish.publishOne('grants.v1', { type: 'grant.created', subject: id, version: 1, data: { grant: made } })
  const now = Math.floor(Date.now() / 1000)
  const part = {
    ...authority,
    permissions: authority.permissions.slice(0, 1),
    budget: { ...authority.budget, calls: 1 },
    max_depth: 0,
  }
  const delegation = signDelegation(
    {
      ...{ iss: holder.agent, sub: `${otherAgentId}/one`, aud: world.trust.installation, iat: now, exp: now + 600 },
      ...{ jti: `passed-on-${n}`, cnf: { jkt: world.keys.other.kid }, grant: id, as_of: 9 },
      ...{ parent_hash: made.statement_hash, authorization_details: [part] },
    },
    key,
  )
  const delegation_id = delegationId(delegation) ?? ''
  const data = {
    ...{ delegation_id, grant_id: id, delegation, agent: `${otherAgentId}/one`, instance_key: world.keys.other.kid },
    ...{ authority: part, not_after: new Date((now + 600) * 1000).toISOString() },
  }
  const redeemed = { type: 'delegation.redeemed' as const, subject: delegation_id, key: id, version: 2, data }
  await publish.publishOne('grants.v1', redeemed)
  grants.set(id, made)
  return [id, delegation_id]
}
const grants = new Map<string, Grant>()
const stopOf = async (id: string) => {
  const { items } = (await olga.get('/agents')).body as unknown as { items: { id: string; stopped: object | null }[] }
  return items.find((agent) => agent.id === id)?.stopped
}
const activeOf = async (id: string) => {
  const { items } = (await olga.get('/agents')).body as unknown as { items: { id: string; active: number }[] }
  return items.find((agent) => agent.id === id)?.active ?? 0
}

it('finds a grant by whom it was passed on to, by its owner’s name, and by what may be done', async () => {
  const [of, delegation] = await passedOn(4000)
  const found = async (query: string) => (await all(`state=all&${query}`)).map(({ id }) => id)
  await expect.poll(() => found(`q=${delegation}`)).toEqual([of])
  const words = (text: string) => found(`q=${encodeURIComponent(`${of} ${text}`)}`)
  for (const text of ['forecast', 'Olga', 'OLGA forecast', 'tools/call', 'invoices'])
    expect([text, await words(text)]).toEqual([text, [of]])
  expect(await words('nothing')).toEqual([])
  expect(await found(`agent=${encodeURIComponent(otherAgentId)}`)).toContain(of)
})

it('counts a sub-agent as active while what was passed on to it lives, and shows it as completed with its grant', async () => {
  const before = [await activeOf(agentId), await activeOf(otherAgentId)]
  const [of] = await passedOn(4001)
  const states = async () => {
    const [found] = (await all(`state=all&q=${of}`)) as unknown as { state: string; chain: { state: string }[] }[]
    return [found?.state, ...(found?.chain ?? []).map(({ state }) => state)]
  }
  await expect.poll(states).toEqual(['active', 'active'])
  expect([await activeOf(agentId), await activeOf(otherAgentId)]).toEqual(before.map((count) => count + 1))
  expect(await stopOf(otherAgentId)).toBeNull() // something was approved for it since it was stopped
  const data = { grant: grants.get(of) as Grant, cause: 'completed by the agent' }
  await world.issuer.producer.publishOne('grants.v1', { type: 'grant.completed', subject: of, version: 3, data })
  await expect.poll(states).toEqual(['completed', 'completed'])
  expect([await activeOf(agentId), await activeOf(otherAgentId)]).toEqual(before)
})

it.each(['?state=some', '?cursor=x', '?q=', '?limit=9', `?q=${'x'.repeat(201)}`])('refuses %s', async (query) => {
  expect((await olga.get(`/grants${query}`)).status).toBe(400)
})
