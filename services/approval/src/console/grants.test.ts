import { randomBytes } from 'node:crypto'
import type { Grant } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
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
  expect((await olga.post('/stops', { kind: 'agent', target })).status).toBe(200)
  expect(await ids('state=ended')).toHaveLength(count / 3 + 1)
  expect([await active(otherAgentId), await active(agentId)]).toEqual([0, (count / 3) * 2])
  expect((await all('state=ended&q=task:99.')).map(({ state }) => state)).toEqual(['revoked'])
  // It had already expired: the revocation stopped nothing.
  expect(await all(`state=ended&q=${over}`)).toMatchObject([{ state: 'expired', revoked: null }])
})

it.each(['?state=some', '?cursor=x', '?q=', '?limit=9', `?q=${'x'.repeat(201)}`])('refuses %s', async (query) => {
  expect((await olga.get(`/grants${query}`)).status).toBe(400)
})
