import type { Bus } from '@bailiwick/bus'
import { generateKey } from '@bailiwick/credentials'
import { sampleAgentId } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { read } from './agent-side.ts'
import { granted } from './granted.ts'
import { by, passedOn, reconcilerOf, SubAgents, sdkOf } from './sub-agents.ts'
import { eventually, type World } from './world.ts'

const rebind = 'attested' as const
const holderIn = (world: World, grantId: string) =>
  world.pdp.pdp.projection.ledger.grants.trees.get(grantId)?.grant.instance_key

it('delegations that ended when a grant moved stay ended when it moves back, redeemed or not (DESIGN §7.2, V7)', async () => {
  const subs = new SubAgents(2)
  await using system = await granted({ entities: subs.entities }, { authority: passedOn, rebind })
  const { world, grant, point, credential } = system
  const [readOnly] = passedOn.permissions
  const onlyRead = {
    ...passedOn,
    permissions: [readOnly],
    budget: { calls: 20, cost: {} },
    max_depth: 0,
    max_children: 0,
  }
  const delegate = (n: number) => {
    const { id: to, key } = subs.at(n)
    const ask = { of: { grantId: grant.grantId }, to, key: key.kid, authority: onlyRead }
    return sdkOf(world, reconcilerOf(world)).delegate({ ...ask, expiresAt: world.clock.now() + 3_000_000 })
  }
  const redeemed = await delegate(0)
  const kept = await delegate(1)
  const { token } = await sdkOf(world, subs.at(0)).credential({ delegation: redeemed.delegation })
  const call = () => point.call(by(subs.at(0), token, read))
  const own = () => point.call({ credential, ...read })
  expect([(await call()).decision, (await own()).decision]).toEqual([true, true])
  await sdkOf(world, subs.second).credential({ grantId: grant.grantId })
  await eventually(() => holderIn(world, grant.grantId) === subs.second.key.kid || undefined)
  expect([(await call()).reason, (await own()).reason]).toEqual(['grant_agent_mismatch', 'grant_agent_mismatch'])
  // It moves back: the first instance asks again, with its earlier key.
  const back = await sdkOf(world, reconcilerOf(world)).credential({ grantId: grant.grantId })
  await eventually(() => holderIn(world, grant.grantId) === reconcilerOf(world).key.kid || undefined)
  expect([(await call()).reason, (await own()).reason]).toEqual(['delegation_invalid', 'grant_agent_mismatch'])
  for (const [n, { delegation }] of [redeemed, kept].entries())
    await expect(sdkOf(world, subs.at(n)).credential({ delegation })).rejects.toMatchObject({
      code: 'delegation_invalid',
    })
  // What it gets and delegates from now on is alive.
  expect(await point.call({ credential: back.token, ...read })).toMatchObject({ decision: true })
  await new Promise((resolve) => setTimeout(resolve, 1000)) // `iat` has whole seconds only
  const anew = await sdkOf(world, subs.at(1)).credential({ delegation: (await delegate(1)).delegation })
  expect(await point.call(by(subs.at(1), anew.token, read))).toMatchObject({ decision: true })
})

it('an instance revoked while its grant moves away stays revoked, even if the issuer dies in between (V7)', async () => {
  const subs = new SubAgents(0)
  const third = { id: `${sampleAgentId('reconciler')}/i3`, key: generateKey('agent') }
  let world: World | undefined
  let revokedAt: number | undefined
  let dead = false
  const crashing = (bus: Bus): Bus =>
    new Proxy(bus, {
      get(target, name) {
        const member = Reflect.get(target, name)
        if (name !== 'publish') return typeof member === 'function' ? member.bind(target) : member
        return async (topic: string, events: { bytes: Uint8Array }[]) => {
          const text = events.map(({ bytes }) => Buffer.from(bytes).toString()).join()
          // Killed as soon as the move is durable: nothing that it sends afterwards arrives.
          if (dead) return new Promise(() => undefined)
          if (!text.includes('"grant.rebound"') || !text.includes(third.id))
            return target.publish(topic as never, events as never)
          // Acknowledged before the move is durable.
          revokedAt = await world?.revoke('agent', subs.second.id)
          dead = true
          return target.publish(topic as never, events as never)
        }
      },
    })
  const withThird = (entities: Parameters<typeof subs.entities>[0]) =>
    subs.entities(entities).map((entity) => {
      if (entity.type !== 'agent' || entity.value.id !== sampleAgentId('reconciler')) return entity
      const { attestor } = entity.value
      if (attestor.kind !== 'registered_key') return entity
      const keys = [...attestor.keys, { instance: 'i3', jwk: { ...third.key.publicJwk } }]
      return { ...entity, value: { ...entity.value, attestor: { ...attestor, keys } } }
    })
  await using system = await granted({ issuerBus: crashing, entities: withThird }, { rebind })
  world = system.world
  const { grant } = system
  await sdkOf(world, subs.second).credential({ grantId: grant.grantId })
  sdkOf(world, third)
    .credential({ grantId: grant.grantId })
    .catch(() => undefined)
  await eventually(() => holderIn(system.world, grant.grantId) === third.key.kid || undefined)
  expect(revokedAt).toBe(200)
  Promise.resolve(world.issuer?.[Symbol.asyncDispose]()).catch(() => undefined)
  await world.startIssuer(world.bus)
  const said = await eventually(() =>
    sdkOf(system.world, third)
      .credential({ grantId: grant.grantId })
      .then(
        () => 'minted',
        ({ code }) => (['state_stale', 'service_standby', 'service_unready'].includes(code) ? undefined : code),
      ),
  )
  expect(said).toBe('access_request_refused')
  const { revocations, grants } = world.pdp.pdp.projection.ledger
  expect(revocations.find('grant', grant.grantId)).toBeUndefined()
  expect(grants.trees.get(grant.grantId)).toMatchObject({ state: 'active', moves: 2 })
})
