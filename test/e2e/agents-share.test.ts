import { delegationId, signDelegation } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { askTokenWithNonce } from './agent-side.ts'
import { granted } from './granted.ts'
import { passedOn, reconcilerOf, SubAgents, sdkOf } from './sub-agents.ts'
import type { WorldOptions } from './world.ts'

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
const [readOnly] = passedOn.permissions
const onlyRead = {
  ...passedOn,
  permissions: [readOnly],
  budget: { calls: 20, cost: {} },
  max_depth: 0,
  max_children: 0,
}

async function family(options: WorldOptions = {}) {
  const subs = new SubAgents(2)
  const system = await granted({ entities: subs.entities, ...options }, { authority: passedOn })
  const { world, grant } = system
  const parent = sdkOf(world, reconcilerOf(world))
  const delegate = (n: number) => {
    const { id: to, key } = subs.at(n)
    const ask = { of: { grantId: grant.grantId }, to, key: key.kid, authority: onlyRead }
    return parent.delegate({ ...ask, expiresAt: world.clock.now() + 3_000_000 })
  }
  return { ...system, subs, parent, delegate, sdk: (n: number) => sdkOf(world, subs.at(n)) }
}

it('an agent over its rate learns when to come back, as do all its instances; another agent is unaffected (V18)', async () => {
  await using it = await family({ agentCallsPerSecond: 1 })
  const { world, grant, parent, sdk } = it
  const { delegation } = await it.delegate(0)
  const ask = () => askTokenWithNonce(world, { details: [{ type: 'bailiwick_grant', grant_id: grant.grantId }] })
  let refused = await ask()
  for (let n = 0; n < 30 && refused.status === 200; n++) refused = await ask()
  expect(refused).toMatchObject({ status: 429, error: 'temporarily_unavailable' })
  const second = sdkOf(world, it.subs.second).credential({ grantId: grant.grantId })
  await expect(second).rejects.toMatchObject({ code: 'rate_limited' })
  expect(await sdk(0).credential({ delegation })).toMatchObject({ token: expect.any(String) })
  // Its requests do not delay what it ends.
  await expect(parent.revokeDelegation(delegation)).resolves.toBeUndefined()
})

it('a sub-agent cannot keep its parent agent from withdrawing a delegation that the parent signed (V7, V18)', async () => {
  await using it = await family()
  const { world, subs, parent } = it
  const held = await it.delegate(0)
  await it.sdk(0).credential({ delegation: held.delegation })
  const { key, id: iss } = subs.at(0)
  const iat = Math.floor(world.clock.now() / 1000)
  const junk = (n: number) => {
    const claims = { ...claimsOf(held.delegation), iss, sub: subs.at(1).id, iat, jti: `junk ${n}` }
    const parent_hash = (delegationId(held.delegation) ?? '').slice(4)
    return signDelegation({ ...claims, parent_hash, cnf: { jkt: subs.at(1).key.kid } }, key)
  }
  const rogue = it.sdk(0)
  for (let n = 0; n < 100; n++) await rogue.revokeDelegation(junk(n))
  await expect(rogue.revokeDelegation(junk(100))).rejects.toMatchObject({ code: 'rate_limited' })
  const sent = await it.delegate(1)
  await expect(parent.revokeDelegation(sent.delegation)).resolves.toBeUndefined()
  await expect(it.sdk(1).credential({ delegation: sent.delegation })).rejects.toThrow()
})
