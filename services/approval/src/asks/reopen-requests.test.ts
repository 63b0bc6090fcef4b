import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { agentOf, aWorld, type World } from '../approval.fixture.ts'
import { aPerson, type Person } from '../browser.fixture.ts'

let world: World
let olga: Person
let refusal: string | undefined
beforeAll(async () => {
  world = await aWorld({ refuses: () => refusal })
  olga = aPerson(world)
  expect((await olga.enrol()).status).toBe(200)
})
afterAll(() => world[Symbol.asyncDispose]())

async function approvedInVain(reason: string) {
  const agent = agentOf(world)
  const { id } = (await agent.submit(agent.sign())).json().task
  refusal = reason
  const { body } = await olga.statement(id)
  const assertion = olga.passkey.sign(String(body.challenge))
  await olga.post(`/requests/${id}/approve`, { statement_hash: body.statement_hash, assertion })
  refusal = undefined
  return { agent, id: id as string, shown: body }
}
const record = (id: string) => world.issuer.projection.ledger.requests.requests.get(id)

describe('what was approved in vain', () => {
  it.each(['policy_changed', 'manifest_changed'])(
    'is asked again after %s, once, and a new answer counts',
    async (reason) => {
      const { agent, id, shown } = await approvedInVain(reason)
      await expect.poll(() => record(id)?.state).toBe('pending')
      expect(record(id)).toMatchObject({ version: 3, endorsements: [], received: { reopened: reason } })
      expect((await agent.status(id)).json()).toMatchObject({ task: { status: 'pending' } })
      const again = await olga.statement(id)
      expect(again.body.statement_hash).not.toBe(shown.statement_hash) // rendered and signed again
      const approved = await olga.approve(id)
      expect(approved.body).toMatchObject({ status: 'approved', grant: 'active' })
      expect(record(id)).toMatchObject({ version: 4, state: 'approved' })
    },
  )

  it('is refused for good for any other reason', async () => {
    const { agent, id } = await approvedInVain('approval_not_narrower')
    await expect.poll(async () => (await agent.status(id)).json().task.status).toBe('failed')
    expect(record(id)).toMatchObject({ version: 2, state: 'approved' })
  })

  it('cannot be answered with what was signed before (V10)', async () => {
    const { id, shown } = await approvedInVain('policy_changed')
    await expect.poll(() => record(id)?.state).toBe('pending')
    const assertion = olga.passkey.sign(String(shown.challenge))
    const replayed = await olga.post(`/requests/${id}/approve`, { statement_hash: shown.statement_hash, assertion })
    expect(replayed.body).toMatchObject({ code: 'statement_unknown' })
    expect(record(id)?.state).toBe('pending')
  })
})
