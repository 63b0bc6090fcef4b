import type { ToolServer } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { faultyGrantStore } from '@bailiwick/grant-store'
import { readPolicyFiles } from '@bailiwick/installation'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { credentialFor, Point } from './agent-side.ts'
import { type Granted, granted } from './granted.ts'
import { changeRegistry } from './registry-change.ts'
import { eventually, type WorldOptions } from './world.ts'

const tools = {
  read: { labels: ['reads_private'] },
  fetch: { labels: ['reads_untrusted'] },
  send: { labels: ['external_send'] },
}
const names = [...Object.keys(tools), 'mystery']
const authority = {
  ...sampleAuthority,
  permissions: names.map((name) => ({
    actions: ['tools/call'],
    resource: { type: 'tool', id: `${sample.toolServer}/${name}` },
  })),
}
/** The sample world with tools that read, fetch and send, and one without a description. */
const described: NonNullable<WorldOptions['entities']> = (entities) =>
  entities.map((entity) => {
    if (entity.type === 'tool-server')
      return { type: 'tool-server', value: { ...entity.value, tools, manifest: jcsHash(tools) } }
    if (entity.type !== 'enforcement-point') return entity
    const resources = names.map((name) => ({ type: 'tool', id: `${sample.toolServer}/${name}` }))
    return { type: 'enforcement-point', value: { ...entity.value, resources } }
  })

const ask = (system: Granted, tool: string, credential = system.credential) =>
  system.point.call({ credential, tool, properties: {} })

it('blocks sending once an agent has read private data and untrusted content, in any of its tasks', async () => {
  await using system = await granted({ entities: described }, { authority })
  expect(await ask(system, 'send')).toMatchObject({ decision: true })
  expect(await ask(system, 'read')).toMatchObject({ decision: true })
  expect(await ask(system, 'send')).toMatchObject({ decision: true })
  expect(await ask(system, 'fetch')).toMatchObject({ decision: true })
  const refused = await ask(system, 'send')
  expect(refused).toMatchObject({ decision: false, reason: 'policy_denied' })
  expect(await system.event(refused.decisionId)).toMatchObject({ data: { policies: ['no-exfiltration'] } })
  const another = await credentialFor(system.world, (await system.people.grant({ authority })).grantId)
  expect(await ask(system, 'send', another)).toMatchObject({ reason: 'policy_denied' })
})

it('counts concurrent calls: a send cannot slip out beside the reads that taint it', async () => {
  const gate = Promise.withResolvers<void>()
  let first = false
  let shown = 0
  await using system = await granted(
    {
      entities: described,
      grantStore: (real) => ({
        ...faultyGrantStore(real, () => undefined),
        async remember(...proof) {
          const answer = await real.remember(...proof)
          shown++
          return answer
        },
      }),
      wrapRecord: (record) => async (drafts) => {
        if (first && drafts[0]?.type === 'decision.allowed') {
          first = false
          await gate.promise
        }
        return record(drafts)
      },
    },
    { authority },
  )
  first = true
  shown = 0
  // The first is on its way to the log; the others queue after it and share a batch.
  const held = ask(system, 'send')
  const waiting: ReturnType<typeof ask>[] = []
  await eventually(() => shown >= 1)
  for (const tool of ['read', 'fetch', 'send']) {
    waiting.push(ask(system, tool))
    // The store knows its proof; the rest of its way to the queue is in this process.
    await eventually(() => shown >= 1 + waiting.length)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  gate.resolve()
  expect((await held).decision).toBe(true)
  expect((await Promise.all(waiting)).map(({ decision }) => decision)).toEqual([true, true, false])
})

it('treats an undescribed tool as reading, untrusted and sending at once, from its first call', async () => {
  await using system = await granted({ entities: described }, { authority })
  const refused = await ask(system, 'mystery')
  expect(refused).toMatchObject({ decision: false, reason: 'policy_denied' })
  expect(await system.event(refused.decisionId)).toMatchObject({ data: { policies: ['described-tools-only'] } })
  // Nothing was called, so nothing was touched.
  expect(await ask(system, 'send')).toMatchObject({ decision: true })
})

it('blocks sending after an undescribed tool, where other policies allow that tool', async () => {
  const policies = new Map(readPolicyFiles(new URL('../../policies', import.meta.url).pathname))
  const starter = Buffer.from(policies.get('starter.cedar') ?? '').toString()
  const laxer = starter.replace('resource.labels.contains("unlabelled")', 'false')
  expect(laxer).not.toBe(starter)
  policies.set('starter.cedar', Buffer.from(laxer))
  await using system = await granted({ entities: described, policies }, { authority })
  expect(await ask(system, 'mystery')).toMatchObject({ decision: true })
  const refused = await ask(system, 'send')
  expect(await system.event(refused.decisionId)).toMatchObject({ data: { policies: ['no-exfiltration'] } })
  expect(await ask(system, 'read')).toMatchObject({ decision: true })
})

it('denies policy_error when a policy of the active set cannot be evaluated (V13)', async () => {
  const policies = new Map(readPolicyFiles(new URL('../../policies', import.meta.url).pathname))
  const broken =
    'forbid (principal, action == Action::"tools/call", resource) when { 9223372036854775807 + context.grant.approvers > 0 };'
  policies.set('broken.cedar', Buffer.from(`@id("broken") ${broken}`))
  await using system = await granted({ policies })
  const answer = await system.point.call({ credential: system.credential, tool: 'read', properties: {} })
  expect(answer).toMatchObject({ decision: false, reason: 'policy_error' })
  expect(await system.event(answer.decisionId)).toMatchObject({ data: { policies: ['broken'] } })
  expect(system.taken()).toBe(0n)
})

it('denies manifest_changed once a tool differs from what was approved, and can be granted anew', async () => {
  await using system = await granted({ entities: described }, { authority })
  const { world } = system
  expect(await ask(system, 'read')).toMatchObject({ decision: true })
  const before = world.approval.projection.ledger.registry.record('tool-server', sample.toolServer)
  if (!before?.value) throw new Error('no tool server')
  const changed = { ...tools, read: { labels: ['reads_private', 'writes'] } }
  const value = { ...(before.value as ToolServer), tools: changed, manifest: jcsHash(changed) }
  await changeRegistry(system, { type: 'tool-server', id: value.id, version: 2, before: before.hash, value })
  const { registry } = world.pdp.pdp.projection.ledger
  await eventually(() => registry.get('tool-server', sample.toolServer)?.manifest === value.manifest || undefined)
  expect(await ask(system, 'read')).toMatchObject({ reason: 'manifest_changed' })
  await eventually(
    () =>
      world.approval.projection.ledger.registry.record('tool-server', sample.toolServer)?.version === 2 || undefined,
  )
  const renewed = await credentialFor(world, (await system.people.grant({ authority })).grantId)
  expect(await new Point(world).call({ credential: renewed, tool: 'read', properties: {} })).toMatchObject({
    decision: true,
  })
})

it('writes no registry change that the approvers did not sign (V3)', async () => {
  await using system = await granted({ entities: described }, { authority })
  const { world } = system
  const before = world.approval.projection.ledger.registry.record('tool-server', sample.toolServer)
  const value = { ...(before?.value as ToolServer), url: 'https://elsewhere.example/' }
  const entity = { type: 'tool-server', id: value.id, version: 2, before: before?.hash, value } as const
  await changeRegistry(system, entity, (statement) => ({
    ...statement,
    entities: statement.entities.map((each) => ({ ...each, after: 'A'.repeat(43) })),
  }))
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(
    (await world.events('registry.v1')).filter(({ subject }) => subject === `tool-server ${sample.toolServer}`),
  ).toHaveLength(1)
})
