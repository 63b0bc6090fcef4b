import { makeDpopProof } from '@bailiwick/credentials'
import { sampleKey } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { type Granted, granted } from './granted.ts'
import { reconcilerOf, sdkOf } from './sub-agents.ts'
import { eventually, type World } from './world.ts'

type Key = Parameters<typeof makeDpopProof>[1]

interface Asking {
  key?: Key
  proof?: Partial<Parameters<typeof makeDpopProof>[0]>
  dpop?: string
}

let made = 0

/** What the issuer says of a grant to an agent, with the issuer's nonce unless the caller overrides it. */
async function stateOf(world: World, id: string, options: Asking = {}) {
  const url = `/oauth/grants/${id}/state`
  const send = async (dpop: string) => {
    const answer = await world.http.inject({ method: 'POST', url, headers: dpop === '' ? {} : { dpop } })
    const body = answer.json() as { code?: string; state?: string }
    return { status: answer.statusCode, ...body, headers: answer.headers, dpop }
  }
  if (options.dpop !== undefined) return send(options.dpop)
  const key = options.key ?? sampleKey(world.data, 'reconciler')
  const proof = (nonce: string | undefined) => {
    const of = {
      htm: 'POST',
      htu: `${world.url}${url}`,
      jti: `state-${id.slice(-8)}-${made++}`,
      now: world.clock.now(),
    }
    return makeDpopProof({ ...of, nonce, ...options.proof }, key)
  }
  const first = await send(proof(undefined))
  const asks = String(first.headers['www-authenticate']).startsWith('DPoP error="use_dpop_nonce"')
  return asks ? send(proof(String(first.headers['dpop-nonce']))) : first
}

const becomes = ({ world, grant }: Granted, state: string) =>
  eventually(async () => (await stateOf(world, grant.grantId)).state === state || undefined)

it.each<[string, (granted: Granted) => Promise<unknown>]>([
  ['the grant is revoked', ({ world, grant }) => world.revoke('grant', grant.grantId)],
  ['its agent is revoked', ({ world, grant }) => world.revoke('agent', grant.statement.agent)],
  ['everything is revoked', ({ world }) => world.revoke('all', '*')],
  ['a person withdraws the request', ({ people, grant }) => people.withdraw(grant.requestId)],
])('an agent learns that its grant has ended when %s, and causes no event by asking', async (_, end) => {
  await using system = await granted()
  const { world, grant } = system
  const before = (await world.events('grants.v1')).length
  for (const id of [grant.grantId, grant.requestId])
    expect(await stateOf(world, id)).toMatchObject({ status: 200, state: 'live', grant_id: grant.grantId })
  expect((await world.events('grants.v1')).length).toBe(before)
  await end(system)
  await becomes(system, 'ended')
})

it('only the key that the grant is bound to learns its state, and each proof counts once (V10, V11)', async () => {
  await using system = await granted()
  const { world, grant } = system
  const id = grant.grantId
  expect(await stateOf(world, id, { dpop: '' })).toMatchObject({ status: 401, code: 'caller_unauthenticated' })
  const forecaster = sampleKey(world.data, 'forecaster')
  expect(await stateOf(world, id, { key: forecaster })).toMatchObject({ status: 404, code: 'grant_unknown' })
  const elsewhere = { htu: `${world.url}/oauth/grants/${id}/complete` }
  for (const proof of [elsewhere, { htm: 'GET' }, { nonce: 'invented' }])
    expect(await stateOf(world, id, { proof })).toMatchObject({ status: 401 })
  const told = await stateOf(world, id)
  expect(told.state).toBe('live')
  expect(await stateOf(world, id, { dpop: told.dpop })).toMatchObject({ status: 401, code: 'token_replayed' })
})

it('looking at a grant does not use up what an agent may end (V18)', async () => {
  await using system = await granted({ agentCallsPerSecond: 1 })
  const { world, grant } = system
  const looked = async () => (await stateOf(world, grant.grantId)).status
  let status = await looked()
  for (let n = 0; n < 30 && status === 200; n++) status = await looked()
  expect(status).toBe(429)
  await expect(sdkOf(world, reconcilerOf(world)).complete({ grantId: grant.grantId })).resolves.toBeUndefined()
})
