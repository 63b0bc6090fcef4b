import { makeDpopProof } from '@bailiwick/credentials'
import { sampleKey } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { askTokenWithNonce, credentialFor, read } from './agent-side.ts'
import { granted } from './granted.ts'
import { eventually, type World } from './world.ts'

type Key = Parameters<typeof makeDpopProof>[1]

/** One call of the agent's, with the issuer's nonce unless told otherwise. */
async function complete(
  world: World,
  id: string,
  options: { key?: Key; proof?: Partial<Parameters<typeof makeDpopProof>[0]>; dpop?: string } = {},
) {
  const url = `/oauth/grants/${id}/complete`
  const send = async (dpop: string | undefined) => {
    const answer = await world.http.inject({ method: 'POST', url, headers: dpop === undefined ? {} : { dpop } })
    const body = answer.json() as { code?: string; state?: string }
    return { status: answer.statusCode, ...body, headers: answer.headers }
  }
  if (options.dpop !== undefined) return send(options.dpop || undefined)
  const key = options.key ?? sampleKey(world.data, 'reconciler')
  let made = 0
  const proof = (nonce: string | undefined) =>
    makeDpopProof(
      {
        ...{
          htm: 'POST',
          htu: `${world.url}${url}`,
          jti: `complete-${id.slice(-8)}-${made++}`,
          now: world.clock.now(),
        },
        ...{ nonce, ...options.proof },
      },
      key,
    )
  const first = await send(proof(undefined))
  const nonce = String(first.headers['dpop-nonce'])
  const asks = String(first.headers['www-authenticate']).startsWith('DPoP error="use_dpop_nonce"')
  const dpop = proof(nonce)
  return asks ? { ...(await send(dpop)), dpop } : first
}

const completions = async (world: World) =>
  (await world.events('grants.v1')).filter(({ type }) => type === 'grant.completed')

it('a finished task’s credentials die at once, for good, and no other’s (V7)', async () => {
  await using system = await granted()
  const { world, people, point, credential, grant } = system
  const other = await people.grant()
  const otherCredential = await credentialFor(world, other.grantId)
  expect(await point.call({ credential, ...read })).toMatchObject({ decision: true })
  expect(await complete(world, grant.grantId)).toMatchObject({ status: 200, state: 'completed' })
  await eventually(
    () => world.pdp.pdp.projection.ledger.grants.trees.get(grant.grantId)?.state === 'completed' || undefined,
    1000,
  )
  expect(await point.call({ credential, ...read })).toMatchObject({ decision: false, reason: 'grant_not_active' })
  const details = [{ type: 'bailiwick_grant', grant_id: grant.grantId }]
  expect((await askTokenWithNonce(world, { details })).error).toBe('access_denied')
  expect(await point.call({ credential: otherCredential, ...read })).toMatchObject({ decision: true })
  expect(await completions(world)).toMatchObject([{ data: { grant: { id: grant.grantId } } }])
})

it('may be repeated, by the request’s name too, whoever starts again: it is said once', async () => {
  await using system = await granted()
  const { world, grant } = system
  const answers = await Promise.all([complete(world, grant.grantId), complete(world, grant.requestId)])
  expect(answers).toMatchObject([
    { status: 200, state: 'completed', grant_id: grant.grantId },
    { status: 200, state: 'completed', grant_id: grant.grantId },
  ])
  await world.issuer?.[Symbol.asyncDispose]()
  await world.startIssuer()
  expect(await complete(world, grant.grantId)).toMatchObject({ status: 200, state: 'completed' })
  expect(await completions(world)).toHaveLength(1)
})

it('is nobody’s but the key’s that the grant is bound to, and each proof counts once (V10, V11)', async () => {
  await using system = await granted()
  const { world, grant, point, credential } = system
  const id = grant.grantId
  expect(await complete(world, id, { dpop: '' })).toMatchObject({ status: 401, code: 'caller_unauthenticated' })
  const forecaster = sampleKey(world.data, 'forecaster')
  expect(await complete(world, id, { key: forecaster })).toMatchObject({ status: 404, code: 'grant_unknown' })
  const elsewhere = { htu: `${world.url}/oauth/token` }
  expect(await complete(world, id, { proof: elsewhere })).toMatchObject({ status: 401 })
  expect(await complete(world, id, { proof: { htm: 'GET' } })).toMatchObject({ status: 401 })
  expect(await complete(world, id, { proof: { nonce: 'invented' } })).toMatchObject({ status: 401 })
  expect(await completions(world)).toEqual([])
  expect(await point.call({ credential, ...read })).toMatchObject({ decision: true })
  const done = await complete(world, id)
  expect(done.status).toBe(200)
  const { dpop } = done as { dpop?: string }
  expect(await complete(world, id, { dpop: dpop ?? '' })).toMatchObject({ status: 401, code: 'token_replayed' })
})

it('a credential that is being minted while the task ends is dead too (V4, V7)', async () => {
  await using system = await granted()
  const { world, grant, point } = system
  const details = [{ type: 'bailiwick_grant', grant_id: grant.grantId }]
  const asked = Array.from({ length: 6 }, () => askTokenWithNonce(world, { details }))
  expect(await complete(world, grant.grantId)).toMatchObject({ status: 200 })
  for (const { token } of await Promise.all(asked)) {
    if (token === undefined) continue
    const dead = async () => (await point.call({ credential: token, ...read })).reason === 'grant_not_active'
    expect(await eventually(dead, 1000)).toBe(true)
  }
})
