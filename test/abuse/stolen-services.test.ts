import { statementHash } from '@bailiwick/approval-statement'
import type { Grant } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { eventually, Scene } from './scene.ts'

/** The latest event of a type, as it stood on its topic. */
async function last(scene: Scene, topic: string, type: string) {
  const found = (await scene.read(topic)).findLast(({ text }) => text.includes(`"type":"${type}"`))
  if (!found) throw new Error(`there is no ${type}`)
  return { ...found, event: JSON.parse(found.text) as { data: Record<string, unknown>; subject: string } }
}

it('a stolen approval service cannot approve: without the passkey over this statement there is no grant (V3)', async () => {
  await using scene = await Scene.open()
  await scene.granted()
  const approved = (await last(scene, 'approvals.v1', 'request.approved')).event.data as {
    statement: { authority: object; request_id: string }
    assertions: unknown[]
  }
  const agent = scene.agent('forecaster')
  const victim = await scene.asked(agent)
  const received = (await last(scene, 'approvals.v1', 'request.received')).event.data as Record<string, unknown>
  const { request_id, request_hash, instance_key, authority, not_before, not_after } = received
  const statement = {
    ...approved.statement,
    ...{ request_id, request_hash, agent: agent.id, instance_key, authority, not_before, not_after },
  }
  // A genuine assertion of the owner's, over another statement.
  await scene.forge(
    'approvals.v1',
    {
      type: 'request.approved',
      source: '/approval/thief',
      subject: victim,
      version: 2,
      data: {
        request_id: victim,
        statement,
        statement_hash: statementHash(statement as never),
        assertions: approved.assertions,
      },
    },
    scene.stolenKey('approval'),
  )
  const refusal = await eventually('the issuer refuses', async () =>
    (await scene.events('grants.v1')).find(({ type }) => type === 'credential.refused'),
  )
  expect(scene.ledger.grants.trees.get(refusal.partitionkey)).toBeUndefined()
  expect(await scene.tryCall(agent, refusal.partitionkey)).not.toBe('ok')
  expect((await scene.audited()).findings.filter(({ rule }) => rule !== 'V15')).toEqual([])
})

it('a stolen issuer cannot widen, replay or revive a grant (V3, V7)', async () => {
  await using scene = await Scene.open()
  const key = scene.stolenKey('issuer')
  const agent = scene.agent()
  const { requestId, grantId } = await scene.granted(agent)
  expect(await scene.tryCall(agent, grantId)).toBe('ok')
  await scene.invoices.delivered()
  const created = await last(scene, 'grants.v1', 'grant.created')
  const intended = await last(scene, 'grants.v1', 'credential.intended')
  const before = await scene.counted()
  // An event counts once, however often it is repeated.
  await scene.place('grants.v1', created.key, created.bytes)
  await scene.place('grants.v1', intended.key, intended.bytes)
  // A jump in versions, and a second beginning.
  const grant = created.event.data.grant as Grant
  const more = { subject: grantId, data: { grant } }
  await scene.forge('grants.v1', { ...more, type: 'grant.suspended', version: 50 }, key)
  await scene.forge('grants.v1', { ...more, type: 'grant.created', version: 1 }, key)
  expect(await scene.counted()).toBe(before)

  await scene.approver.withdraw(requestId, 'no longer')
  const version = () => (scene.ledger.grants.trees.get(grantId)?.version ?? 0) + 1
  await scene.forge('grants.v1', { ...more, type: 'grant.suspended', version: version() }, key)
  await scene.forge('grants.v1', { ...more, type: 'grant.resumed', version: version() }, key)
  expect(scene.ledger.grants.trees.get(grantId)?.state).toBe('active')
  expect(await scene.tryCall(agent, grantId)).toBe('grant_revoked')

  // The same grant, later and larger, under the id that its content has: no person signed it.
  const wider = { ...grant, authority: { ...grant.authority, budget: { calls: 1_000_000 } } }
  const told = await scene.counted()
  await scene.forge(
    'grants.v1',
    { type: 'grant.rebound', subject: grantId, version: version(), data: { grant: wider } },
    key,
  )
  expect(await scene.counted()).toBe(told)
  const { grant: held } = scene.ledger.grants.trees.get(grantId) ?? {}
  expect(held?.authority).toEqual(grant.authority)
  expect(await scene.tryCall(agent, grantId)).not.toBe('ok')
})

it('a stolen issuer cannot change the registry: a change that approvers did not sign is void for every reader (V3)', async () => {
  await using scene = await Scene.open()
  const key = scene.stolenKey('issuer')
  const before = await scene.counted()
  const registry = scene.ledger.registry
  const genesis = (await scene.events('registry.v1')).map(
    ({ data }) => data as { authorization: { kind: string; jws: string } },
  )
  const root = genesis.find(({ authorization }) => authorization.kind === 'root')?.authorization
  const invitation = genesis.find(({ authorization }) => authorization.kind === 'invitation')?.authorization
  const point = registry.enforcementPoint('invoices-api')
  const owner = registry.get('approver', 'owner')
  const policies = registry.policySet
  if (!point || !owner || !policies || !root || !invitation) throw new Error('the registry is not as it should be')
  const changes = [
    { type: 'policy-set', verb: 'changed', version: 2, value: { ...policies, hash: jcsHash('anything') } },
    {
      type: 'enforcement-point',
      verb: 'changed',
      version: 2,
      value: { ...point, base_urls: ['http://thief.example'] },
    },
    { type: 'approver', verb: 'changed', version: 2, value: { ...owner, name: 'Thief' } },
    { type: 'approver', verb: 'registered', version: 1, value: { ...owner, id: 'thief' } },
    {
      type: 'agent',
      verb: 'registered',
      version: 1,
      value: { ...scene.ledger.registry.instance(scene.agent().id)?.agent, id: 'spiffe://bailiwick.local/agent/thief' },
    },
  ] as const
  for (const { type, verb, version, value } of changes)
    for (const authorization of [root, invitation]) {
      const { id } = value as { id: string }
      const data = { entity: { type, id }, value, hash: jcsHash(value), authorization }
      await scene.forge('registry.v1', { type: `${type}.${verb}`, subject: `${type} ${id}`, version, data }, key)
    }
  expect(await scene.counted()).toBe(before)
  await scene.stillWorks()
  const report = await scene.audited()
  expect(report.void).toBeGreaterThanOrEqual(changes.length * 2)
})

it('a stolen decision point cannot return budget that was never taken, nor take budget twice (V9)', async () => {
  await using scene = await Scene.open()
  const key = scene.stolenKey('policy-decision')
  const agent = scene.agent()
  const { grantId } = await scene.granted(agent)
  expect(await scene.tryCall(agent, grantId)).toBe('ok')
  await scene.invoices.delivered()
  const allowed = (await last(scene, 'decisions.v1', 'decision.allowed')).event
  const settled = scene.ledger.decisions.trees.get(grantId)
  const taken = settled?.taken.calls
  const { decision_id, call_id } = allowed.data as { decision_id: string; call_id: string }
  for (const version of [(settled?.version ?? 0) + 1, (settled?.version ?? 0) + 7])
    await scene.forge(
      'decisions.v1',
      {
        type: 'decision.abandoned',
        source: '/policy-decision/thief',
        subject: decision_id,
        key: grantId,
        version,
        data: { decision_id, grant_id: grantId, call_id, after: settled?.head ?? '' },
      },
      key,
    )
  expect(scene.ledger.decisions.trees.get(grantId)?.taken.calls).toBe(taken)
})
