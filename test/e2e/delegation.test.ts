import type { Agent } from '@bailiwick/agent'
import { actionDigest, generateKey } from '@bailiwick/credentials'
import { missingParts, startRedis } from '@bailiwick/native'
import { sample, sampleAgentId } from '@bailiwick/standalone/sample'
import { describe, expect, it } from 'vitest'
import { adjust, askTokenWithNonce, type CallAsk, read } from './agent-side.ts'
import { granted } from './granted.ts'
import type { Ask } from './people.ts'
import { changeRegistry } from './registry-change.ts'
import { by, passedOn, reconcilerOf, type SubAgent, SubAgents, sdkOf } from './sub-agents.ts'
import { callsOnly, twoPoints } from './two-points.ts'
import { eventually, type WorldOptions } from './world.ts'

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
const [readOnly] = passedOn.permissions
const onlyRead = { ...passedOn, permissions: [readOnly], budget: { calls: 20, cost: {} } }

/** A granted task whose agent has sub-agents, each with its SDK. */
async function family(ask: Ask = {}, options: WorldOptions = {}, count = 6) {
  const subs = new SubAgents(count)
  const system = await granted({ entities: subs.entities, ...options }, { authority: passedOn, ...ask })
  const { world, grant } = system
  const of = { grantId: grant.grantId }
  const parent = sdkOf(world, reconcilerOf(world))
  const sdks = subs.all.map((sub) => sdkOf(world, sub))
  const sdk = (n: number): Agent => sdks[n] ?? parent
  const end = world.clock.now() + 3_000_000 // one expiry for all: a delegation may not outlive its parent
  const hour = () => end
  /** From the agent that has the grant, or from a sub-agent under its own delegation. */
  const delegate = (to: SubAgent, more: Partial<Parameters<Agent['delegate']>[0]> = {}, from: Agent = parent) =>
    from.delegate({ of, to: to.id, key: to.key.kid, authority: onlyRead, expiresAt: hour(), ...more })
  /** To the n-th sub-agent, and redeemed by it. */
  const handOver = async (n: number, more: Parameters<typeof delegate>[1] = {}, from: Agent = parent) => {
    const { id, delegation } = await delegate(subs.at(n), more, from)
    const { token } = await sdk(n).credential({ delegation })
    return { n, id, delegation, token, call: (what: CallAsk = read) => system.point.call(by(subs.at(n), token, what)) }
  }
  return { ...system, subs, parent, sdk, delegate, handOver, hour, of }
}
type Family = Awaited<ReturnType<typeof family>>

const caughtUp = async ({ world }: Family, sequence: number) =>
  eventually(() => world.pdp.pdp.projection.ledger.revocations.sequence >= sequence || undefined)

it('lets a sub-agent act within its delegation, as itself, on behalf of the grant’s agent (V5, V6)', async () => {
  await using it = await family()
  const { world, subs, parent, handOver } = it
  const one = await handOver(0)
  expect(claimsOf(one.token)).toMatchObject({
    sub: reconcilerOf(world).id,
    client_id: subs.at(0).id,
    act: { sub: subs.at(0).id },
    cnf: { jkt: subs.at(0).key.kid },
    authorization_details: [onlyRead],
    grant: { delegation: one.id, id: it.grant.grantId },
  })
  const allowed = await one.call()
  expect(allowed).toMatchObject({ decision: true })
  expect((await it.event(allowed.decisionId)).data).toMatchObject({
    actor: { agent: reconcilerOf(world).id, sub_agent: subs.at(0).id, delegation_id: one.id },
    chain: [{ delegation_id: one.id, agent: subs.at(0).id, permission: 0 }],
  })
  const denied = await one.call(adjust('1'))
  expect(denied).toMatchObject({ decision: false, reason: 'action_not_granted' })
  expect((await it.event(denied.decisionId)).data).toMatchObject({ actor: { sub_agent: subs.at(0).id } })
  expect(await it.point.call({ credential: (await parent.credential(it.of)).token, ...adjust('1') })).toMatchObject({
    decision: true,
  })
  // Nothing of it works with another key, not even for the agent that delegated (V11).
  expect(await it.point.call({ credential: one.token, ...read })).toMatchObject({ reason: 'proof_key_mismatch' })
  const [redeemed] = (await world.events('grants.v1')).filter(({ type }) => type === 'delegation.redeemed')
  expect(redeemed).toMatchObject({ subject: one.id, data: { delegation: one.delegation, agent: subs.at(0).id } })
})

it('nests the actors, and counts each call on every level (V6, V9)', async () => {
  await using it = await family()
  const one = await it.handOver(0)
  const under = { of: { delegation: one.delegation }, authority: { ...onlyRead, budget: { calls: 2, cost: {} } } }
  const two = await it.handOver(1, under, it.sdk(0))
  expect(claimsOf(two.token).act).toEqual({ sub: it.subs.at(1).id, act: { sub: it.subs.at(0).id } })
  const first = await two.call()
  expect((await it.event(first.decisionId)).data).toMatchObject({
    chain: [
      { delegation_id: one.id, agent: it.subs.at(0).id },
      { delegation_id: two.id, agent: it.subs.at(1).id },
    ],
  })
  expect(await two.call()).toMatchObject({ decision: true })
  expect(await two.call()).toMatchObject({ reason: 'budget_reserved' })
  expect(await one.call()).toMatchObject({ decision: true })
  expect(it.taken()).toBe(3n)
})

it('renews as often as requested, and is redeemed once, only by the agent that it names (V10, V11)', async () => {
  await using it = await family()
  const { id, delegation } = await it.delegate(it.subs.at(0))
  const tokens = await Promise.all([0, 1, 2].map(() => sdkOf(it.world, it.subs.at(0)).credential({ delegation })))
  expect(new Set(tokens.map(({ token }) => claimsOf(token).jti)).size).toBe(3)
  for (const thief of [it.sdk(1), it.parent])
    await expect(thief.credential({ delegation })).rejects.toMatchObject({ code: 'access_request_refused' })
  const events = await it.world.events('grants.v1')
  expect(events.filter(({ type }) => type === 'delegation.redeemed').map(({ subject }) => subject)).toEqual([id])
})

it('gives the last unit to exactly one of five sub-agents that race for it (V9, V10)', async () => {
  await using it = await family({ authority: { ...passedOn, budget: { calls: 1, cost: { EUR: '1' } } } })
  const authority = { ...onlyRead, budget: { calls: 1, cost: {} } }
  const racers = await Promise.all([0, 1, 2, 3, 4].map((n) => it.handOver(n, { authority })))
  const answers = await Promise.all(racers.map(({ call }) => call()))
  expect(answers.filter(({ decision }) => decision)).toHaveLength(1)
  expect(answers.filter(({ reason }) => reason === 'budget_reserved')).toHaveLength(4)
})

const skipped = missingParts('redis').length > 0 && process.env.CI !== 'true'

describe.skipIf(skipped)('two decision points on one Redis', () => {
  it('give the last unit of a tree to exactly one of five sub-agents (V9)', async () => {
    await using redis = await startRedis()
    const subs = new SubAgents(5)
    const authority = { ...callsOnly(1), max_depth: 1, max_children: 5 }
    await using two = await twoPoints(redis.url, 1, { authority, entities: subs.entities })
    const { world, grant } = two.system
    const parent = sdkOf(world, reconcilerOf(world))
    const racers = await Promise.all(
      subs.all.map(async (sub) => {
        const passed = {
          of: { grantId: grant.grantId },
          to: sub.id,
          key: sub.key.kid,
          authority: { ...authority, max_depth: 0 },
        }
        const { delegation } = await parent.delegate({ ...passed, expiresAt: world.clock.now() + 3_000_000 })
        return by(sub, (await sdkOf(world, sub).credential({ delegation })).token, adjust('1'))
      }),
    )
    const answers = await Promise.all(racers.flatMap((ask) => two.points.map((point) => point.call(ask))))
    expect(answers.filter(({ decision }) => decision)).toHaveLength(1)
    const reasons = new Set(answers.filter(({ decision }) => !decision).map(({ reason }) => reason))
    expect([...reasons]).toEqual(['budget_reserved'])
  })
})

it.each<[who: string, revoke: (it: Family, one: Awaited<ReturnType<Family['handOver']>>) => Promise<unknown>]>([
  ['the agent that signed it', (it, { id }) => it.parent.revokeDelegation(id)],
  ['the sub-agent, which is done', (it, { delegation }) => it.sdk(0).complete({ delegation })],
  ['the operator', (it, { id }) => it.world.revoke('delegation', id)],
  ['the operator, who stops the sub-agent', (it) => it.world.revoke('agent', sampleAgentId('helper-0'))],
])('dies with its subtree, and with nothing else, when it is ended by %s (V7)', async (_, revoke) => {
  await using it = await family()
  const one = await it.handOver(0)
  const below = await it.handOver(1, { of: { delegation: one.delegation } }, it.sdk(0))
  const other = await it.handOver(2)
  for (const { call } of [one, below, other]) expect(await call()).toMatchObject({ decision: true })
  await revoke(it, one)
  await caughtUp(it, 1)
  for (const { call } of [one, below]) expect((await call()).reason).toMatch(/^(delegation_revoked|agent_revoked)$/)
  expect(await other.call()).toMatchObject({ decision: true })
  expect(await it.point.call({ credential: it.credential, ...read })).toMatchObject({ decision: true })
  for (const [n, { delegation }] of [
    [0, one],
    [1, below],
  ] as const)
    await expect(sdkOf(it.world, it.subs.at(n)).credential({ delegation })).rejects.toMatchObject({
      code: 'access_request_refused',
    })
})

it('can be ended only by the agents above it, even before it was redeemed (V7)', async () => {
  await using it = await family()
  const one = await it.handOver(0)
  const below = await it.handOver(1, { of: { delegation: one.delegation } }, it.sdk(0))
  const other = await it.handOver(2)
  const unredeemed = await it.delegate(it.subs.at(3))
  for (const stranger of [it.sdk(2), it.sdk(1)])
    await expect(stranger.revokeDelegation(one.id)).rejects.toMatchObject({ code: 'grant_unknown' })
  for (const stranger of [it.sdk(0), it.sdk(3)])
    await expect(stranger.revokeDelegation(unredeemed.delegation)).rejects.toMatchObject({ code: 'grant_unknown' })
  await it.parent.revokeDelegation(below.id) // a grandchild's
  await it.parent.revokeDelegation(below.id)
  await it.parent.revokeDelegation(unredeemed.delegation)
  await expect(it.sdk(3).credential(unredeemed)).rejects.toMatchObject({ code: 'access_request_refused' })
  await caughtUp(it, 2)
  expect(await below.call()).toMatchObject({ reason: 'delegation_revoked' })
  for (const { call } of [one, other]) expect(await call()).toMatchObject({ decision: true })
  const declared = await it.world.revocations()
  expect(declared.map(({ data }) => [data.kind, data.target, data.by.kind])).toEqual([
    ['delegation', below.id, 'agent'],
    ['delegation', unredeemed.id, 'agent'],
  ])
})

it('dies with the whole task when the task is withdrawn or completed, or its agent is stopped (V7)', async () => {
  for (const end of [
    (it: Family) => it.people.withdraw(it.grant.requestId),
    (it: Family) => it.parent.complete(it.of),
    (it: Family) => it.world.revoke('agent', sampleAgentId('reconciler')),
  ]) {
    await using it = await family()
    const one = await it.handOver(0)
    expect(await one.call()).toMatchObject({ decision: true })
    await end(it)
    await eventually(async () => (await one.call()).decision === false || undefined)
    await expect(sdkOf(it.world, it.subs.at(0)).credential(one)).rejects.toMatchObject({
      code: 'access_request_refused',
    })
  }
})

it('ends at its own expiry, even if the credential says later (V7)', async () => {
  await using it = await family()
  const one = await it.handOver(0, { expiresAt: it.world.clock.now() + 60_000 })
  expect(claimsOf(one.token).exp).toBe(claimsOf(one.delegation).exp)
  expect(await one.call()).toMatchObject({ decision: true })
  it.world.ahead = 61_000
  expect((await one.call()).reason).toMatch(/^(delegation|credential)_expired$/)
  await expect(it.sdk(0).credential(one)).rejects.toMatchObject({ code: 'access_request_refused' })
})

it('ends when the grant moves to another key: nothing that the old key signed is valid any more (V6)', async () => {
  await using it = await family({ rebind: 'attested' })
  const one = await it.handOver(0)
  expect(await one.call()).toMatchObject({ decision: true })
  const moved = sdkOf(it.world, it.subs.second)
  await moved.credential(it.of)
  await eventually(async () => (await one.call()).reason === 'grant_agent_mismatch' || undefined)
  await expect(sdkOf(it.world, it.subs.at(0)).credential(one)).rejects.toMatchObject({ code: 'delegation_invalid' })
  // The instance that now has the grant delegates from there.
  const again = await it.handOver(0, {}, moved)
  expect(await it.point.call({ ...by(it.subs.at(0), again.token, read), subject: it.subs.second.id })).toMatchObject({
    decision: true,
  })
})

it('works for the APIs that it names, and for no others', async () => {
  await using it = await family()
  const one = await it.handOver(0, { resources: [sample.invoicesUrl] })
  expect(claimsOf(one.token).aud).toBe(sample.invoicesUrl)
  expect(await one.call()).toMatchObject({ decision: true })
  await expect(it.sdk(0).credential({ ...one, resource: it.world.url })).rejects.toMatchObject({
    code: 'request_malformed',
  })
  const below = { of: { delegation: one.delegation }, resources: [it.world.url] as [string] }
  const { delegation } = await it.delegate(it.subs.at(1), below, it.sdk(0))
  await expect(it.sdk(1).credential({ delegation })).rejects.toMatchObject({ code: 'delegation_invalid' })
})

it('inherits the mode: a sub-agent of a grant for one action may do that action, once (V10)', async () => {
  const digest = actionDigest({
    name: 'tools/call',
    properties: read.properties,
    resource: { type: 'tool', id: `${sample.toolServer}/read` },
  })
  await using it = await family({ mode: 'per_action', actionDigest: digest, authority: onlyRead })
  const [one, other] = [await it.handOver(0), await it.handOver(1)]
  expect(await one.call({ ...read, properties: { id: '2' } })).toMatchObject({ reason: 'action_not_granted' })
  expect(await one.call()).toMatchObject({ decision: true })
  expect(await other.call()).toMatchObject({ reason: 'uses_reserved' })
})

it('follows RFC 8693 on the wire, and ignores none of its parameters', async () => {
  await using it = await family()
  const { delegation } = await it.delegate(it.subs.at(0))
  const key = it.subs.at(0).key
  const id = it.subs.at(0).id
  const exchange = (form: Record<string, string | undefined> = {}) =>
    askTokenWithNonce(it.world, {
      assertion: { iss: id, sub: id },
      assertionKey: key,
      proofKey: key,
      form: {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: delegation,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        authorization_details: undefined,
        ...form,
      },
    })
  const accessToken = 'urn:ietf:params:oauth:token-type:access_token'
  expect(await exchange({ requested_token_type: accessToken, resource: sample.invoicesUrl })).toMatchObject({
    status: 200,
    body: { issued_token_type: accessToken, token_type: 'DPoP', authorization_details: [onlyRead] },
  })
  for (const form of [
    { subject_token: undefined },
    { subject_token: 'x' },
    { subject_token: it.credential },
    { subject_token_type: undefined },
    { subject_token_type: accessToken },
    { requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
    { actor_token: delegation, actor_token_type: 'urn:ietf:params:oauth:token-type:jwt' },
    { audience: 'anybody' },
    { scope: 'all' },
    { authorization_details: '[]' },
  ])
    expect(await exchange(form)).toMatchObject({ status: 400, error: 'invalid_request' })
  expect(await exchange({ resource: 'https://elsewhere.example' })).toMatchObject({ error: 'invalid_target' })
})

it('becomes void when the registered key that signed it, or that uses it, is replaced (V6)', async () => {
  await using it = await family()
  const { world, delegate, sdk, subs, parent } = it
  const before = await it.handOver(0)
  await parent.credential(it.of) // a thief of the key has it
  const { registry } = world.approval.projection.ledger
  const id = sampleAgentId('reconciler')
  const known = registry.record('agent', id)
  if (known?.value?.attestor.kind !== 'registered_key') throw new Error('no agent')
  const [first, ...rest] = known.value.attestor.keys
  const keys = [{ ...first, jwk: { ...generateKey('agent').publicJwk } }, ...rest]
  const value = { ...known.value, attestor: { ...known.value.attestor, keys } }
  const { version, hash } = known
  await changeRegistry(it, { type: 'agent', id, version: version + 1, before: hash, value } as never)
  await eventually(
    () => world.pdp.pdp.projection.ledger.registry.record('agent', id)?.version === version + 1 || undefined,
  )
  expect(await before.call()).toMatchObject({ decision: false, reason: 'agent_revoked' })
  expect(await it.point.call({ credential: it.credential, ...read })).toMatchObject({ reason: 'agent_revoked' })
  const { delegation } = await delegate(subs.at(1))
  await expect(sdk(1).credential({ delegation })).rejects.toThrow()
})
