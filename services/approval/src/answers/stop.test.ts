import { randomBytes } from 'node:crypto'
import type { EventData, Grant } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { agentId, aWorld, type World } from '../approval.fixture.ts'
import { Spire } from '../asks/authority.fixture.ts'
import { aPerson, type Person } from '../browser.fixture.ts'

const spire = new Spire()
const othersAgent = 'spiffe://acme.example/agent/of-another-owner'
let world: World
let olga: Person
beforeAll(async () => {
  const somebodyElses = { ...spire.agent(othersAgent), owner: 'otto' }
  world = await aWorld({
    agents: [somebodyElses],
    rule: { match: { agents: [agentId] }, approvers: { group: 'empty', quorum: 1 } },
  })
  olga = aPerson(world)
  expect((await olga.enrol()).status).toBe(200)
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  spire[Symbol.dispose]()
})

const aDelegation = () => `dlg_${randomBytes(32).toString('base64url')}`

/** A delegation under a grant of this agent, with as much as approval needs to tell who may end it. */
async function redeemed(agent: string): Promise<string> {
  const { producer, projection } = world.issuer
  const id = `grt_${randomBytes(32).toString('base64url')}`
  const grant = { ...(exampleEvent('grants.v1', 'grant.created').data as { grant: Grant }).grant, id, agent }
  await producer.publishOne('grants.v1', { type: 'grant.created', subject: id, version: 1, data: { grant } })
  const delegation_id = aDelegation()
  const link = exampleEvent('grants.v1', 'delegation.redeemed').data as EventData<'grants.v1', 'delegation.redeemed'>
  const data = { ...link, delegation_id, grant_id: id }
  const draft = { type: 'delegation.redeemed', subject: delegation_id, key: id, version: 2, data } as const
  await producer.publishOne('grants.v1', draft)
  expect(projection.ledger.grants.trees.get(id)?.delegations.size).toBe(1)
  return delegation_id
}

const revocations = () => world.issuer.projection.ledger.revocations

describe('a person at the console stops', () => {
  it.each([
    ['all', '*'],
    ['tool-server', 'invoices'],
    ['agent', agentId],
    ['agent', `${agentId}/one`],
    ['approver', 'olga'],
  ])('%s %s: answered once the revocation counts (V7)', async (kind, target) => {
    const before = revocations().sequence
    const { status, body } = await olga.post('/stops', { kind, target, reason: 'it went wild' })
    expect(status, JSON.stringify(body)).toBe(200)
    expect(body).toMatchObject({ status: 'stopped', revoked_sequence: before + 1 })
    expect(revocations().find(kind as 'all', target)).toMatchObject({
      revocation_id: body.revocation_id,
      by: { kind: 'approver', id: 'olga' },
    })
    // Her words are only in the attachment.
    const order = world.issuer.projection.ledger.requests.stopOrders.get(String(body.revocation_id))
    expect(JSON.stringify(order)).not.toContain('wild')
  })

  it.each<[string, object, number, string]>([
    [
      'an agent that is neither hers nor hers to approve for',
      { kind: 'agent', target: othersAgent },
      403,
      'approver_not_in_group',
    ],
    [
      'an agent that is not there',
      { kind: 'agent', target: 'spiffe://acme.example/agent/ledge' },
      404,
      'entity_unknown',
    ],
    ['everything, misspelt', { kind: 'all', target: 'all' }, 404, 'entity_unknown'],
    ['a delegation that was never redeemed', { kind: 'delegation', target: aDelegation() }, 404, 'entity_unknown'],
    ['what no stop is for', { kind: 'rule', target: 'tasks' }, 400, 'request_malformed'],
  ])('not %s', async (_, order, status, code) => {
    const before = revocations().sequence
    expect(await olga.post('/stops', { ...order })).toMatchObject({ status, body: { code } })
    expect(revocations().sequence).toBe(before)
  })

  it('what an agent of hers passed on, said once however often she asks; not what others’ agents did (V7)', async () => {
    const hers = await redeemed(`${agentId}/one`)
    const others = await redeemed(`${othersAgent}/one`)
    const before = revocations().sequence
    // Approval may not yet have folded what the issuer has.
    await expect
      .poll(() => olga.post('/stops', { kind: 'delegation', target: others }))
      .toMatchObject({ status: 403, body: { code: 'approver_not_in_group' } })
    expect(revocations().sequence).toBe(before)
    for (let twice = 0; twice < 2; twice++)
      expect(await olga.post('/stops', { kind: 'delegation', target: hers })).toMatchObject({
        status: 200,
        body: { revoked_sequence: before + 1 },
      })
    expect(revocations().find('delegation', hers)).toMatchObject({ by: { kind: 'approver', id: 'olga' } })
    expect(revocations().sequence).toBe(before + 1)
  })

  it('refuses a person who is not signed in, and a page of another origin', async () => {
    const order = { kind: 'all', target: '*' }
    expect((await aPerson(world).post('/stops', order)).status).toBe(401)
    expect((await olga.post('/stops', order, { origin: 'https://evil.example' })).body).toMatchObject({
      code: 'origin_forbidden',
    })
  })
})
