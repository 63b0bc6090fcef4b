import { sample, sampleAgentId } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Person } from './person.ts'
import { answered, eventually, Scene } from './scene.ts'

const agentId = sampleAgentId('reconciler')
const hour = 3_600_000
const iso = (ms: number) => new Date(ms).toISOString()
const times = () => `from=${iso(Date.now() - hour)}&to=${iso(Date.now() + hour)}`
const agentPath = (id: string) => `/console/api/agents/${encodeURIComponent(id)}`
const touchedPath = (id: string, more = times()) =>
  `/console/api/evidence/touched?agent=${encodeURIComponent(id)}&${more}`
const deniedPath = (more = times()) => `/console/api/evidence/denied?${more}`

let scene: Scene
let owner: Person
let stranger: Person
beforeAll(async () => {
  scene = await Scene.bare()
  owner = new Person(scene.system)
  await owner.enrol()
  stranger = new Person(scene.system)
})
afterAll(async () => {
  const { findings } = await scene.audited()
  await scene[Symbol.asyncDispose]()
  expect(findings).toEqual([])
})

const get = (person: Person, path: string) => person.send('GET', path)

/** Sam, who is enrolled, and in no group that a rule names. */
async function enrolSam(): Promise<void> {
  const credentials = [await stranger.newPasskey()]
  const value = { id: 'sam', name: 'Sam Stranger', groups: ['visitors'], credentials }
  const { body } = await scene.propose('approver', 'sam', value)
  expect((await owner.approve(body.request_id, await owner.rendered(body.request_id))).status).toBe(200)
  await eventually('Sam is there', () => scene.ledger.registry.get('approver', 'sam'))
  expect((await stranger.signIn()).status).toBe(200)
}

it('tells a stranger nothing of any agent, by any address (V17)', async () => {
  for (const path of [agentPath(agentId), agentPath('spiffe://no.such/agent'), touchedPath(agentId), deniedPath()]) {
    for (const cookie of ['', '__Host-bailiwick=x', owner.cookie.replace('__Host-', '')]) {
      const { status, code, body } = await owner.send('GET', path, undefined, { cookie })
      expect([path, status, code]).toEqual([path, 401, 'caller_unauthenticated'])
      expect(JSON.stringify(body)).not.toContain('reconciler')
    }
    // Another page, with the person's cookie, learns nothing: it may not even ask evidence.
    if (path.includes('/evidence/'))
      expect((await owner.send('GET', path, undefined, { 'sec-fetch-site': 'cross-site' })).status).toBe(403)
  }
})

it('bounds how often strangers may ask evidence itself, where its log is public (V18)', async () => {
  for (const question of [`touched?agent=${encodeURIComponent(agentId)}&${times()}`, `denied?${times()}`]) {
    const url = `${scene.url}/v1/${question}`
    const asked = await Promise.all(Array.from({ length: 80 }, async () => (await fetch(url)).status))
    expect(asked).toContain(429)
    expect(asked.filter((status) => status !== 200 && status !== 429)).toEqual([])
    expect(asked.filter((status) => status === 200).length).toBeLessThanOrEqual(60)
  }
  // People at the console are not among the strangers.
  expect((await get(owner, touchedPath(agentId))).status).toBe(200)
  expect((await get(owner, deniedPath())).status).toBe(200)
})

it('lets a person of another group read, and not stop; and does not say otherwise (V3)', async () => {
  await enrolSam()
  expect((await get(stranger, agentPath(agentId))).body).toMatchObject({ id: agentId, may_stop: false, stop: null })
  expect((await get(owner, agentPath(agentId))).body).toMatchObject({ id: agentId, may_stop: true })
  expect((await get(stranger, touchedPath(agentId))).status).toBe(200)
  const stop = await stranger.post('stops', { kind: 'agent', target: agentId })
  expect([stop.status, stop.code]).toEqual([403, 'approver_not_in_group'])
  expect(scene.ledger.revocations.sequence).toBe(0)
})

it('takes ids of any length and form for no more than names', async () => {
  for (const id of [
    `spiffe://${'a'.repeat(2039)}`,
    'spiffe://a/../../operator/keys',
    'spiffe://a/b?state=all#x',
    'spiffe://__proto__/constructor',
  ])
    expect([id.slice(0, 40), (await get(owner, agentPath(id))).body]).toEqual([
      id.slice(0, 40),
      { id, agent: null, may_stop: false, stop: null },
    ])
  for (const id of [`spiffe://${'a'.repeat(2040)}`, 'reconciler', 'spiffe://a b', 'spiffe://', '%00', 'spiffe://a\nb'])
    expect([id.slice(0, 40), (await get(owner, agentPath(id))).status]).toEqual([id.slice(0, 40), 400])
  const touched = [`spiffe://${'a'.repeat(2100)}`, 'a'.repeat(5000)]
  for (const id of touched) expect((await get(owner, touchedPath(id))).status).toBe(400)
  expect((await get(owner, touchedPath('spiffe://__proto__/constructor'))).body).toMatchObject({
    allowed: 0,
    things: [],
  })
})

it('answers for a month at most, and takes no other member', async () => {
  for (const more of [
    'from=1970-01-01T00:00:00Z&to=2100-01-01T00:00:00Z',
    'from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z',
    'from=2026-01-01&to=2026-01-02',
    `${times()}&limit=1000000`,
    `${times()}&cursor=0_0`,
    `${times()}&from=${iso(0)}`,
    '',
  ])
    for (const path of [touchedPath(agentId, more), deniedPath(more)])
      expect([path, (await get(owner, path)).status]).toEqual([path, 400])
})

it('counts an agent’s calls for that agent alone', async () => {
  const agent = scene.agent()
  const { requestId } = await answered(() =>
    agent.request({ authority: authority as never, mode: 'window', expiresInSeconds: 3000 }),
  )
  expect((await owner.approve(requestId, await owner.rendered(requestId))).status).toBe(200)
  const { grant_id: grantId = '' } = { grant_id: (await agent.waitForDecision(requestId)).grantId }
  expect(await scene.tryCall(agent, grantId)).toBe('ok')
  await scene.invoices.delivered()
  const touched = async () => (await get(owner, touchedPath(agentId))).body as unknown as Touched
  const one = await eventually('evidence has the call and its outcome', async () => {
    const now = await touched()
    return now.outcomes.succeeded === 1 ? now : undefined
  })
  expect(one).toMatchObject({ allowed: 1, complete: true, more_things: 0 })
  expect(one.things[0]).toMatchObject({ resource: `${sample.toolServer}/read`, allowed: 1 })
  // Nothing of it is another agent's.
  expect((await get(owner, touchedPath(sampleAgentId('forecaster')))).body).toMatchObject({ allowed: 0, things: [] })
  expect((await get(owner, touchedPath('spiffe://bailiwick.local/agent'))).body).toMatchObject({ allowed: 0 })
})

interface Touched {
  allowed: number
  outcomes: Record<string, number>
  things: object[]
}

const authority = {
  type: 'bailiwick_task',
  task: 'read',
  permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: `${sample.toolServer}/read` } }],
  budget: { calls: 5 },
  max_depth: 0,
  max_children: 0,
}
