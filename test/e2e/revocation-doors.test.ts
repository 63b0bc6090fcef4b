import { faultyBus } from '@bailiwick/bus'
import type { Agent, ToolServer } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { sample, sampleAgentId } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { askTokenWithNonce, credentialFor, read } from './agent-side.ts'
import { type Granted, granted } from './granted.ts'
import { changeRegistry } from './registry-change.ts'
import { eventually, type World } from './world.ts'

const declared = async (world: World) => (await world.revocations()).map(({ data }) => data)
const lifeOf = async (world: World) =>
  (await world.events('grants.v1')).flatMap(({ type }) => (type.startsWith('grant.') ? [type] : []))

/** Publishes the next version of an entity, approved. Resolves once every service has folded it. */
async function next(system: Granted, type: 'agent' | 'tool-server', id: string, value: Agent | ToolServer | undefined) {
  const readers = [system.world.approval.projection, system.world.pdp.pdp.projection]
  const before = system.world.approval.projection.ledger.registry.record(type, id)
  const version = (before?.version ?? 0) + 1
  const change = { type, id, version, before: before?.hash, ...(value === undefined ? {} : { value }) }
  await changeRegistry(system, change as Parameters<typeof changeRegistry>[1])
  const folded = () => readers.every(({ ledger }) => ledger.registry.record(type, id)?.version === version) || undefined
  await eventually(folded)
}

async function operator(world: World, path: string, payload: object) {
  const answer = await world.operator.inject({ method: 'POST', url: `/operator/revocations${path}`, payload })
  return { status: answer.statusCode, ...(answer.json() as Record<string, unknown>) }
}

it('an agent’s grants die with its registration: registered again, it begins with nothing (V7)', async () => {
  await using system = await granted()
  const { world, people, point, credential } = system
  const id = sampleAgentId('reconciler')
  const agent = world.approval.projection.ledger.registry.get('agent', id)
  await next(system, 'agent', id, undefined)
  await eventually(async () => (await declared(world)).length === 1)
  expect(await declared(world)).toMatchObject([
    { kind: 'agent', target: id, reason: 'agent_retired', by: { kind: 'issuer' } },
  ])
  await next(system, 'agent', id, agent)
  await world.issuer?.[Symbol.asyncDispose]()
  await world.startIssuer()
  expect(await point.call({ credential, ...read })).toMatchObject({ decision: false, reason: 'agent_revoked' })
  const later = await people.grant()
  expect(await point.call({ credential: await credentialFor(world, later.grantId), ...read })).toMatchObject({
    decision: true,
  })
  expect(await declared(world)).toHaveLength(1)
})

it('a changed manifest suspends grants under the old one, and they resume when it is back', async () => {
  await using system = await granted()
  const { world, point, credential, grant } = system
  const server = world.approval.projection.ledger.registry.get('tool-server', sample.toolServer) as ToolServer
  const tools = { ...server.tools, read: { labels: ['private', 'external'] } }
  const stateIs = (state: string) =>
    eventually(() => world.pdp.pdp.projection.ledger.grants.trees.get(grant.grantId)?.state === state || undefined)
  await next(system, 'tool-server', server.id, { ...server, tools, manifest: jcsHash(tools) })
  await stateIs('suspended')
  expect(await point.call({ credential, ...read })).toMatchObject({ decision: false, reason: 'manifest_changed' })
  const details = [{ type: 'bailiwick_grant', grant_id: grant.grantId }]
  expect((await askTokenWithNonce(world, { details })).body).toEqual({
    error: 'access_denied',
    error_description: 'No credential is given for this grant: suspended.',
  })
  await world.issuer?.[Symbol.asyncDispose]()
  await world.startIssuer()
  await next(system, 'tool-server', server.id, server)
  await stateIs('active')
  expect(await point.call({ credential, ...read })).toMatchObject({ decision: true })
  expect(await lifeOf(world)).toEqual(['grant.created', 'grant.suspended', 'grant.resumed'])
})

it('a revocation waits for every live instance, and names one that does not apply it (V7)', async () => {
  let bus: ReturnType<typeof faultyBus> | undefined
  await using system = await granted({
    pdpBus: (real) => {
      bus = faultyBus(real, () => undefined)
      return bus
    },
  })
  const { world } = system
  const all = { kind: 'all', target: '*' }
  const first = await operator(world, '', { ...all, wait_ms: 20_000 })
  const services = (answer: Record<string, unknown>) =>
    (answer.applied as { service: string; ms: number | null }[]).toSorted((a, b) => (a.service < b.service ? -1 : 1))
  expect(services(first).map(({ service, ms }) => [service, ms !== null])).toEqual([
    ['approval', true],
    ['issuer', true],
    ['policy-decision', true],
  ])
  bus?.hold('revocations.v1')
  const second = await operator(world, '', { ...all, wait_ms: 5000 })
  expect(services(second).map(({ service, ms }) => [service, ms !== null])).toEqual([
    ['approval', true],
    ['issuer', true],
    ['policy-decision', false],
  ])
  bus?.release('revocations.v1')
})

it('a preview lists what would end, ends nothing, and reports unknown targets', async () => {
  await using system = await granted()
  const { world, grant, people, point, credential } = system
  const other = await people.grant()
  await credentialFor(world, other.grantId)
  const jti = JSON.parse(Buffer.from(credential.split('.')[1] ?? '', 'base64url').toString()).jti
  const preview = (kind: string, target: string) => operator(world, '/preview', { kind, target })
  expect(await preview('grant', grant.grantId)).toMatchObject({
    status: 200,
    grants: [{ grant_id: grant.grantId, agent: grant.statement.agent }],
    grant_count: 1,
    credentials: 1,
  })
  expect(await preview('credential', jti)).toMatchObject({ grant_count: 0, credentials: 1 })
  for (const [kind, target] of [
    ['agent', sampleAgentId('reconciler')],
    ['agent', grant.statement.agent],
    ['approver', sample.owner],
    ['tool-server', sample.toolServer],
    ['all', '*'],
  ] as const)
    expect(await preview(kind, target)).toMatchObject({ status: 200, grant_count: 2, credentials: 2 })
  expect(await preview('agent', sampleAgentId('forecaster'))).toMatchObject({ grant_count: 0, credentials: 0 })
  for (const [kind, target] of [
    ['grant', 'grt_0123456789abcdefghij'],
    ['credential', 'crd_0123456789abcdefghij'],
    ['delegation', 'dlg_short'],
    ['agent', 'spiffe://bailiwick.local/agent/nobody'],
    ['approver', 'nobody'],
    ['tool-server', 'nothing'],
    ['all', 'something'],
  ] as const)
    expect(await preview(kind, target)).toMatchObject({ status: 404, code: 'entity_unknown' })
  expect(await declared(world)).toEqual([])
  expect(await point.call({ credential, ...read })).toMatchObject({ decision: true })
  await operator(world, '', { kind: 'grant', target: grant.grantId })
  expect(await preview('all', '*')).toMatchObject({ grant_count: 1, credentials: 1 })
})
