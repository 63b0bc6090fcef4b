import { generateKey, type SigningKey } from '@bailiwick/credentials'
import { memoryOutcomeStore, openEnforcementPoint } from '@bailiwick/pep'
import { sample, sampleKey } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { Point, read } from './agent-side.ts'
import { type Granted, granted } from './granted.ts'
import { inside } from './inside.ts'
import { outcomeChains } from './outcome-chains.ts'
import { changeRegistry } from './registry-change.ts'
import { eventually } from './world.ts'

type Registered = ReturnType<Granted['world']['pdp']['pdp']['projection']['ledger']['registry']['enforcementPoint']>

/** Changes the sample's enforcement point in the registry; undefined retires it. */
async function register(system: Granted, value: Registered): Promise<void> {
  const { registry } = system.world.pdp.pdp.projection.ledger
  const { enforcementPoint: id } = sample
  const known = registry.record('enforcement-point', id)
  const version = (known?.version ?? 0) + 1
  const before = known?.value === undefined ? {} : { before: known.hash }
  await changeRegistry(system, {
    type: 'enforcement-point',
    ...{ id, version, ...before, ...(value ? { value } : {}) },
  } as never)
  await eventually(() => registry.record('enforcement-point', id)?.version === version || undefined)
}

it('a point whose outcome key is replaced, or that is no longer registered, lets no call through and loses no outcome (V13, V15)', async () => {
  await using system = await granted()
  const { world, credential } = system
  const asker = new Point(world)
  await asker.call({ credential, ...read }) // fetches the nonce
  const first = sampleKey(world.data, 'point-outcome')
  const registered = world.pdp.pdp.projection.ledger.registry.enforcementPoint(sample.enforcementPoint)
  if (!registered) throw new Error('no enforcement point')
  const next = generateKey('outcome')
  const store = memoryOutcomeStore()
  const problems: string[] = []
  const open = (outcomeKey: SigningKey<'outcome'>) =>
    openEnforcementPoint({
      ...{ id: sample.enforcementPoint, trust: world.trust, pdpUrl: world.url, store, now: world.clock.now },
      ...{ random: world.random, fetch: inside(world.http), timeoutMs: 20_000, maxRetryPauseMs: 100, outcomeKey },
      callerKey: sampleKey(world.data, 'point-caller'),
      onProblem: ({ code }) => problems.push(code),
    })
  type Opened = Awaited<ReturnType<typeof open>>
  const call = (point: Opened, effect: () => Promise<void> = async () => undefined) => {
    const { body } = asker.body({ credential, ...read })
    const { proof, htu } = (body.context as { bailiwick: { proof: string; htu: string } }).bailiwick
    const resource = { type: 'tool', id: `${sample.toolServer}/${read.tool}` }
    const action = { name: 'tools/call', properties: read.properties, resource }
    return point.guard({ credential, proof, htm: 'POST', htu, action }, effect)
  }

  // Two calls are under way when the key is replaced.
  const before = await open(first)
  const gate = Promise.withResolvers<void>()
  let begun = 0
  const effect = () => {
    begun++
    return gate.promise
  }
  const underWay = [call(before, effect), call(before, effect)]
  await eventually(() => begun === 2 || undefined)
  await register(system, { ...registered, outcome_jwk: { ...next.publicJwk } as typeof registered.outcome_jwk })
  gate.resolve()
  for (const each of underWay) expect(await each).toMatchObject({ allowed: true })
  await eventually(() => before.obstacle === 'outcomes_unverified' || undefined)
  expect(await call(before)).toEqual({ allowed: false, reason: 'outcomes_unverified' })
  await before[Symbol.asyncDispose]()
  expect((await store.load())?.pending).toHaveLength(2)

  // It continues with the new key, and the outcomes that the replaced key signed wait.
  await using after = await open(next)
  const reported = async () => (await world.events('decisions.v1')).filter(({ type }) => type === 'outcome.reported')
  expect(await call(after)).toMatchObject({ allowed: true })
  await eventually(async () => (await reported()).length === 1 || undefined)
  expect(after.obstacle).toBeUndefined()

  await register(system, undefined)
  expect(await call(after)).toEqual({ allowed: false, reason: 'pdp_unavailable' })
  expect(after.obstacle).toBe('caller_unauthenticated')
  await register(system, registered)
  await after.delivered()
  expect(after.obstacle).toBeUndefined()
  expect(await store.load()).toEqual({ pending: [] })
  expect(await outcomeChains(world)).toEqual({ outcomes: 3, faults: [] })
  expect(problems).toEqual(['key_unknown', 'key_unknown', 'caller_unauthenticated'])
})
