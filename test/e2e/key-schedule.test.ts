import {
  generateKey,
  jcsHash,
  keepLaterKey,
  readKeyFile,
  type ServicePurpose,
  signGenesisStatement,
} from '@bailiwick/credentials'
import { certifiedServiceKey, keyFileNames, paths } from '@bailiwick/installation'
import { expect, it } from 'vitest'
import { eventually, World } from './world.ts'

const dayMs = 86_400_000

/** As `bailiwick keys prepare`, except that the key file can be left out. */
async function prepare({ data, trust, clock, operator }: World, purpose: ServicePurpose): Promise<string> {
  const root = readKeyFile(paths(data).keys('root'), 'root', 'root')
  const key = generateKey(purpose)
  const { installation } = trust
  const value = { ...certifiedServiceKey(key, { installation, now: clock.now(), root }), state: 'prepared' }
  if (value.service !== 'issuer')
    keepLaterKey(
      { folder: paths(data).keys(value.service), name: keyFileNames[purpose], purpose, secret: undefined },
      key,
    )
  const named = { entity_type: 'service-key' as const, entity_id: key.kid, version: 1, after: jcsHash(value) }
  const jws = signGenesisStatement({ installation, ...named }, root)
  const payload = { value, jws }
  expect((await operator.inject({ method: 'POST', url: '/operator/keys', payload })).statusCode).toBe(200)
  return key.kid
}

async function states({ operator }: World): Promise<ReadonlyMap<string, string>> {
  const { keys } = (await operator.inject('/operator/keys')).json() as { keys: { kid: string; state: string }[] }
  return new Map(keys.map(({ kid, state }) => [kid, state]))
}

it('the schedule activates each key on time even if another key is blocked, and taints the old one a day later', {
  timeout: 300_000,
}, async () => {
  await using world = await World.empty({ issuer: { keyRotationDays: 30 } })
  let issuer = await world.startIssuer()
  // Each service keeps signing with its first key, against the registry, as on a machine to which the next key
  // was never copied.
  for (const [service, purpose] of [
    ['policy-decision', 'pdp-event'],
    ['approval', 'approval-event'],
  ] as const)
    await world.participant(service, purpose)
  const silent = {
    next: await prepare(world, 'approval-event'),
    before: world.key('approval', 'event', 'approval-event'),
  }
  const before = world.key('policy-decision', 'permit', 'permit').kid
  // The issuer's key file is missing: this key can never be activated.
  const missing = await prepare(world, 'credential')
  const permit = await prepare(world, 'permit')
  const later = async (days: number) => {
    await issuer[Symbol.asyncDispose]()
    world.ahead += days * dayMs
    issuer = await world.startIssuer()
  }
  await later(29)
  expect([(await states(world)).get(permit), (await states(world)).get(before)]).toEqual(['prepared', 'active'])
  await later(2)
  await eventually(async () => (await states(world)).get(permit) === 'active' || undefined)
  expect((await states(world)).get(before)).toBe('replaced')
  await later(1.1)
  // A service that is not heard two seconds after the start is checked again a minute later.
  await eventually(async () => (await states(world)).get(before) === 'tainted' || undefined, 150_000)
  const at = await states(world)
  expect([at.get(missing), at.get(silent.next), at.get(silent.before.kid)]).toEqual(['prepared', 'active', 'replaced'])
})
