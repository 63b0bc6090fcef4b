import { randomBytes } from 'node:crypto'
import { statementHash } from '@bailiwick/approval-statement'
import { sample, sampleAgentId } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { read } from './agent-side.ts'
import { granted } from './granted.ts'
import { People } from './people.ts'
import { eventually, World } from './world.ts'

const anOrder = (over: object = {}) => ({
  revocation_id: `rev_${randomBytes(16).toString('hex')}`,
  kind: 'all' as const,
  target: '*',
  by: sample.owner,
  ...over,
})

async function order(world: World, data: ReturnType<typeof anOrder>): Promise<void> {
  const draft = { type: 'revocation.requested', subject: data.revocation_id, version: 1, data } as const
  await world.approval.producer.publishOne('approvals.v1', draft)
}

const declared = async (world: World) => (await world.revocations()).map(({ data }) => data)

it('a stop ordered at the console ends everything earlier, once, even across restarts (V7)', async () => {
  await using system = await granted()
  const { world, people, point, credential } = system
  const stopped = anOrder()
  await order(world, stopped)
  await eventually(async () => (await declared(world)).length === 1)
  expect(await declared(world)).toMatchObject([
    { ...stopped, reason: 'stopped_by_approver', by: { kind: 'approver', id: sample.owner } },
  ])
  expect(await point.call({ credential, ...read })).toMatchObject({ decision: false, reason: 'everything_revoked' })
  const later = await people.grant()
  await world.issuer?.[Symbol.asyncDispose]()
  await world.startIssuer()
  const other = anOrder({ kind: 'agent', target: sampleAgentId('forecaster') })
  await order(world, other)
  await eventually(async () => (await declared(world)).length >= 2)
  // If it were declared again, it would also have ended later approvals.
  expect((await declared(world)).map(({ revocation_id }) => revocation_id)).toEqual([
    stopped.revocation_id,
    other.revocation_id,
  ])
  expect(world.approval.projection.ledger.grants.trees.get(later.grantId)?.state).toBe('active')
})

it('a stop in an unknown person’s name has no effect', async () => {
  await using world = await World.open()
  await People.enrolled(world)
  const [forged, real] = [anOrder({ by: 'nobody' }), anOrder()]
  await order(world, forged)
  await order(world, real)
  await eventually(async () => (await declared(world)).length > 0)
  expect((await declared(world)).map(({ revocation_id }) => revocation_id)).toEqual([real.revocation_id])
})

it('a request approved in vain can be asked and approved again, long after its signing; one with a grant cannot (V10)', async () => {
  await using world = await World.open()
  const people = await People.enrolled(world)
  const { producer, projection } = world.approval
  const received = await people.ask()
  const id = received.request_id
  const outdated = people.statement(received, { policy_set: statementHash(people.statement(received)) })
  const vain = await people.hand(id, outdated)
  await eventually(() => projection.ledger.grants.refused.get(vain.grantId) === 'policy_changed')
  const again = async (version: number) => {
    const data = { ...received, reopened: 'policy_changed' as const }
    await producer.publishOne('approvals.v1', { type: 'request.received', subject: id, version, data })
    const statement = people.statement(received)
    const assertions = [people.sign(statement)]
    const data2 = { request_id: id, statement, statement_hash: statementHash(statement), assertions }
    await producer.publishOne('approvals.v1', {
      type: 'request.approved',
      subject: id,
      version: version + 1,
      data: data2,
    })
    return `grt_${data2.statement_hash}`
  }
  world.ahead += 11 * 60_000 // the agent's own signature is valid for ten minutes
  const grantId = await again(3)
  await eventually(() => projection.ledger.grants.trees.has(grantId))
  const second = await again(5)
  await eventually(() => projection.ledger.grants.refused.get(second) === 'access_request_conflict')
})
