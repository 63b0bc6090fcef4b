import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { agentOf, answering, authority, aWorld, otherAgentId } from '../approval.fixture.ts'
import { aPerson } from '../browser.fixture.ts'
import { listen } from './listen.fixture.ts'

const toldIn = ({ said }: Awaited<ReturnType<typeof listen>>) =>
  [...said.text.matchAll(/"arrived":(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0)

it('prompt a person for what that person could answer, twenty times an hour at most, and tell the rest by quarters (V18)', async () => {
  const clock = testClock(0)
  await using world = await aWorld({ clock })
  const [olga, vera] = [aPerson(world), aPerson(world)]
  await olga.enrol()
  const passkey = { credential_id: vera.passkey.id, public_key: vera.passkey.publicKey }
  const credentials = [{ ...passkey, sign_count: 0, registered_at: '2026-11-24T12:00:00.000Z' }]
  const value = { id: 'vera', name: 'Vera', groups: ['auditors'], credentials }
  const payload = { proposer: 'carl', entities: [{ type: 'approver', id: 'vera', value }] }
  const proposed = await world.operator.inject({ method: 'POST', url: '/operator/registry/changes', payload })
  expect((await olga.approve(proposed.json().request_id)).body).toMatchObject({ applied: true })
  await vera.signIn()
  const base = await world.http.listen({ port: 0 })
  const [hers, others] = [await listen(base, olga.cookie), await listen(base, vera.cookie)]
  let asks = 0
  const ask = async (agent = agentOf(world), over: object = {}) => {
    const submitted = await agent.submit(agent.sign({ ...over, authority: { ...authority, task: `task-${++asks}` } }))
    expect(submitted.statusCode, submitted.body).toBe(202)
    return submitted.json().task.id as string
  }
  // An agent that keeps asking and cancelling gets only half of her attention.
  for (let n = 0; n < 10; n++) await agentOf(world).cancel(await ask())
  await Promise.all([ask(), ask()])
  await expect.poll(() => toldIn(hers)).toBe(10)
  clock.advance(15 * 60 * 1000)
  await answering(world)
  const iat = Math.floor(Date.now() / 1000) + 15 * 60
  const sub = `${otherAgentId}/one`
  await ask(agentOf(world, world.keys.other, sub), { sub, iat, exp: iat + 300 })
  await expect.poll(() => toldIn(hers)).toBe(13)
  expect(toldIn(others)).toBe(0)
  expect(others.said.text).toContain('"changed":["requests"]')
})

it('begin with what changed since the page was last told, and with nothing where nothing did', async () => {
  await using world = await aWorld()
  const olga = aPerson(world)
  await olga.enrol()
  const base = await world.http.listen({ port: 0 })
  const now = async () => ((await olga.get('/me')).body as { now: string }).now
  const agent = agentOf(world)
  await expect.poll(async () => (await olga.get('/me')).status).toBe(200)
  const before = await now()
  expect((await agent.submit(agent.sign({ authority: { ...authority, task: 'while away' } }))).statusCode).toBe(202)
  await expect
    .poll(async () => (await olga.get('/requests')).body)
    .toMatchObject({ items: [{ subject: 'while away' }] })
  await new Promise((resolve) => setTimeout(resolve, 5)) // the clock must be past the change
  const after = await now()
  const pages = await Promise.all(
    [`?since=${before}`, `?since=${after}`, ''].map((query) => listen(base, olga.cookie, query)),
  )
  await expect.poll(() => pages[0]?.said.text).toContain('event: change\ndata: {"changed":["requests"],"arrived":0}')
  expect(pages.slice(1).map(({ said }) => said.text.includes('event: change'))).toEqual([false, false])
  expect((await listen(base, olga.cookie, '?since=yesterday')).response.status).toBe(400)
})
