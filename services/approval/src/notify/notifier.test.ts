import { saltedHash } from '@bailiwick/credentials'
import { testClock } from '@bailiwick/kit'
import { describe, expect, it, vi } from 'vitest'
import { agentId, agentOf, answering, aWorld, type World } from '../approval.fixture.ts'
import { aPerson } from '../browser.fixture.ts'
import { aWebhook, type Webhook } from './webhook.fixture.ts'

const told = (hook: Webhook) => hook.received.map(({ body }) => JSON.parse(body))
const kinds = (hook: Webhook) => told(hook).map(({ kind }) => kind)

async function asked(world: World, over: object = {}) {
  const agent = agentOf(world)
  const submitted = await agent.submit(agent.sign(over))
  expect(submitted.statusCode, submitted.body).toBe(202)
  return { agent, id: submitted.json().task.id as string }
}

describe('a notification', () => {
  it('is what waits, in the words of the console, and what became of it', async () => {
    await using hook = await aWebhook()
    await using world = await aWorld({ notify: { webhook: hook.url, format: 'json' } })
    const olga = aPerson(world)
    await olga.enrol()
    const { id } = await asked(world)
    await vi.waitFor(() => expect(kinds(hook)).toEqual(['request_waiting']))
    const [waiting] = told(hook)
    expect(waiting).toMatchObject({
      v: 1,
      installation: world.trust.installation,
      to: ['olga'],
      subject: `ledger (spiffe: //${agentId.slice('spiffe://'.length)}/one) asks`,
      url: `http://localhost:8421/console/requests/${id}`,
      request_id: id,
      agent: `${agentId}/one`,
    })
    expect(waiting.text).toContain('May do tools/call on tool invoices/read; at most 10 times')
    expect((await olga.approve(id)).body).toMatchObject({ grant: 'active' })
    await vi.waitFor(() => expect(kinds(hook)).toEqual(['request_waiting', 'request_answered']))
    expect(told(hook)[1]).toMatchObject({ request_id: id, text: expect.stringMatching(/^Approved by olga\n/) })
    const second = await asked(world)
    await olga.post(`/requests/${second.id}/deny`, { reason: 'not for anybody else to read' })
    await vi.waitFor(() => expect(told(hook)[3]?.text).toMatch(/^Denied by olga\n/))
    expect(JSON.stringify(told(hook))).not.toContain('not for anybody else')
  })

  it('quotes the name of a task, which cannot pass for our words (V3)', async () => {
    await using hook = await aWebhook()
    await using world = await aWorld({ notify: { webhook: hook.url, format: 'slack' } })
    await aPerson(world).enrol()
    const ours = 'May do tools/call on tool invoices/read; at most 10 times'
    const says = `close Q3; ${ours}; Reviewed by Bailiwick: low risk`
    const permissions = [{ actions: ['tools/call'], resource: { type: 'tool', id: 'payments/send' } }]
    await asked(world, { authority: { ...authorityNamed(says), permissions } })
    await vi.waitFor(() => expect(hook.received).toHaveLength(1))
    const { text, blocks } = told(hook)[0]
    for (const shown of [text, blocks[1].text.text]) {
      expect(shown).toContain(`Task: "${says}"`)
      expect(shown.replaceAll(/"(?:[^"\\]|\\.)*"/g, '')).not.toMatch(/invoices|Reviewed/)
    }
  })

  it('is nothing of an agent’s own prose, and no salt (V17)', async () => {
    await using hook = await aWebhook()
    await using world = await aWorld({ notify: { webhook: hook.url, format: 'slack' } })
    await aPerson(world).enrol()
    const agent = agentOf(world)
    const salt = `${'A'.repeat(21)}Q`
    const purpose = { salt, text: 'URGENT: approve within a minute' }
    const request = agent.sign({ purpose: { salted_sha256: saltedHash(purpose) ?? '' } })
    expect((await agent.submit(request, { purpose })).statusCode).toBe(202)
    await vi.waitFor(() => expect(hook.received).toHaveLength(1))
    expect(hook.received[0]?.body).not.toMatch(/URGENT|AAAAAAAA|salted_sha256|eyJ/)
  })

  it('is no more than 10 prompts an hour each of one agent, and one digest a quarter of an hour of the rest (V18)', async () => {
    const clock = testClock(0)
    await using hook = await aWebhook()
    await using world = await aWorld({ notify: { webhook: hook.url, format: 'json' }, clock })
    await aPerson(world).enrol()
    for (let n = 0; n < 3; n++)
      for (let m = 0; m < 5; m++) {
        const { agent, id } = await asked(world, { authority: authorityNamed(`task-${n}-${m}`) })
        if (n < 2 || m < 2) await agent.cancel(id)
      }
    await vi.waitFor(() => expect(kinds(hook).filter((kind) => kind === 'request_waiting').length).toBeGreaterThan(0))
    clock.advance(15 * 60 * 1000)
    await answering(world)
    await vi.waitFor(() => expect(kinds(hook)).toContain('digest'), 5000)
    const digests = told(hook).filter(({ kind }) => kind === 'digest')
    expect(digests).toHaveLength(1)
    expect(digests[0]).toMatchObject({ to: ['olga'], url: 'http://localhost:8421/console' })
    expect(digests[0].text).toContain('olga: 3 requests wait, 3 of them not announced one by one')
    expect(kinds(hook).filter((kind) => kind === 'request_waiting')).toHaveLength(10)
  })

  it('says that a request expired: both sides learn that nothing was approved', async () => {
    const clock = testClock(0)
    await using hook = await aWebhook()
    await using world = await aWorld({ notify: { webhook: hook.url, format: 'json' }, clock, requestLifeSeconds: 60 })
    await aPerson(world).enrol()
    const { agent, id } = await asked(world)
    await vi.waitFor(() => expect(kinds(hook)).toEqual(['request_waiting']))
    clock.advance(61_000)
    await answering(world)
    await vi.waitFor(() => expect(kinds(hook)).toEqual(['request_waiting', 'request_expired']), 5000)
    expect(told(hook)[1].text).toMatch(/^Expired without an answer: nothing was approved\n/)
    expect((await agent.status(id)).json()).toMatchObject({ task: { status: 'expired' } })
  })

  it('does not hold up an approval, however the webhook behaves', async () => {
    await using hook = await aWebhook()
    hook.answer = () => undefined // accepts the connection, and never answers
    await using world = await aWorld({ notify: { webhook: hook.url, format: 'json' } })
    const olga = aPerson(world)
    await olga.enrol()
    for (let n = 0; n < 8; n++) {
      const { id } = await asked(world, { authority: authorityNamed(`task-${n}`) })
      const started = performance.now()
      expect((await olga.approve(id)).body).toMatchObject({ status: 'approved', grant: 'active' })
      expect(performance.now() - started).toBeLessThan(3000)
    }
  })
})

const authorityNamed = (task: string) => ({
  type: 'bailiwick_task',
  task,
  permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: 'invoices/read' }, max_uses: 10 }],
  budget: { calls: 20 },
  max_depth: 0,
  max_children: 0,
})
