import { encodeEnvelope, formatSequence } from '@bailiwick/contracts'
import { actionDigest, makeDpopProof, signEvent } from '@bailiwick/credentials'
import { sampleKey } from '@bailiwick/standalone/sample'
import { describe, expect, it } from 'vitest'
import { askTokenWithNonce, credentialFor, read } from './agent-side.ts'
import { type Granted, granted } from './granted.ts'
import type { Ask } from './people.ts'
import { eventually, type World } from './world.ts'

type Key = Parameters<typeof makeDpopProof>[1]

/** One call by the agent, with the issuer's nonce unless the caller overrides it. */
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

it('completing a task ends its credentials at once and for good, and no other task’s (V7)', async () => {
  await using system = await granted()
  const { world, people, point, credential, grant } = system
  const other = await people.grant()
  const otherCredential = await credentialFor(world, other.grantId)
  expect(await point.call({ credential, ...read })).toMatchObject({ decision: true })
  expect(await complete(world, grant.grantId)).toMatchObject({ status: 200, state: 'completed' })
  await eventually(
    () => world.pdp.pdp.projection.ledger.grants.trees.get(grant.grantId)?.state === 'completed' || undefined,
  )
  expect(await point.call({ credential, ...read })).toMatchObject({ decision: false, reason: 'grant_not_active' })
  const details = [{ type: 'bailiwick_grant', grant_id: grant.grantId }]
  expect((await askTokenWithNonce(world, { details })).error).toBe('access_denied')
  expect(await point.call({ credential: otherCredential, ...read })).toMatchObject({ decision: true })
  expect(await completions(world)).toMatchObject([{ data: { grant: { id: grant.grantId } } }])
})

it('completing may be repeated, also by request id and across restarts, and is recorded once', async () => {
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

it('only the key that the grant is bound to can complete it, and each proof counts once (V10, V11)', async () => {
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

it('an agent cannot turn a withdrawal, or the end of its time, into an end of its own making (V7)', async () => {
  await using system = await granted()
  const { world, people, grant } = system
  const refused = { status: 409, code: 'grant_not_active' }
  expect(await world.revoke('grant', grant.grantId)).toBe(200)
  expect(await complete(world, grant.grantId)).toMatchObject(refused)
  const late = await people.grant({ seconds: 60 })
  world.ahead += 61_000
  expect(await complete(world, late.grantId)).toMatchObject(refused)
  expect(await completions(world)).toEqual([])
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
    expect(await eventually(dead)).toBe(true)
  }
})

describe('a grant for one action', () => {
  const action = { name: 'tools/call', properties: read.properties, resource: { type: 'tool', id: 'invoices/read' } }
  const one: Ask = { mode: 'per_action', actionDigest: actionDigest(action) }
  const stateOf = ({ world, grant }: Granted) => world.pdp.pdp.projection.ledger.grants.trees.get(grant.grantId)?.state
  const completed = (system: Granted) => eventually(() => stateOf(system) === 'completed' || undefined)
  const use = async ({ point, credential }: Granted, callId: string) => {
    const answer = await point.call({ credential, ...read, observed: { call_id: callId } })
    expect(answer).toMatchObject({ decision: true })
    return answer
  }

  it('is completed with its use, once the outcome is known, and is used up as before (V10)', async () => {
    await using system = await granted({}, one)
    const { world, point, credential, grant } = system
    const used = await use(system, 'call_1111111111111111')
    expect(await point.report(point.outcome(used, 'call_1111111111111111', 'succeeded'))).toBe(204)
    await completed(system)
    expect(await completions(world)).toMatchObject([
      { data: { grant: { id: grant.grantId }, cause: 'its one action was done' } },
    ])
    expect(await point.call({ credential, ...read })).toMatchObject({ decision: false, reason: 'uses_exhausted' })
    const details = [{ type: 'bailiwick_grant', grant_id: grant.grantId }]
    expect((await askTokenWithNonce(world, { details })).error).toBe('access_denied')
  })

  it('is completed when its outcome is never reported', async () => {
    await using system = await granted({ pdp: { outcomeSeconds: 1 } }, one)
    await use(system, 'call_1111111111111111')
    await completed(system)
  })

  it('is completed once, by an issuer that was not running when it was used', async () => {
    await using system = await granted({}, one)
    const { world, point } = system
    const used = await use(system, 'call_1111111111111111')
    await world.issuer?.[Symbol.asyncDispose]()
    await point.report(point.outcome(used, 'call_1111111111111111', 'succeeded'))
    await eventually(async () => (await world.events('decisions.v1')).some(({ type }) => type === 'outcome.reported'))
    expect(await completions(world)).toEqual([])
    await world.startIssuer()
    await completed(system)
    await world.issuer?.[Symbol.asyncDispose]()
    await world.startIssuer()
    expect(await completions(world)).toHaveLength(1)
  })

  it('is not completed by the wrong service’s event, and a grant of another mode not by its use', async () => {
    await using system = await granted({}, one)
    const { world, grant } = system
    const used = await use(system, 'call_1111111111111111')
    const allowed = await system.event(used.decisionId)
    // As the decision point would write it, but signed by approval.
    const outcome = {
      decision_id: used.decisionId,
      grant_id: grant.grantId,
      due: new Date().toISOString(),
      after: allowed.id,
    }
    const forged = encodeEnvelope({
      ...{ specversion: '1.0', id: `evt_${'f'.repeat(26)}`, source: allowed.source, type: 'outcome.missing' },
      ...{ time: new Date().toISOString(), subject: used.decisionId, datacontenttype: 'application/json' },
      ...{ dataschema: 'urn:bailiwick:schema:decisions.v1:outcome.missing', partitionkey: grant.grantId },
      ...{ version: 2, sequence: formatSequence(1), previous: 'none', data: outcome },
    })
    const bytes = signEvent(forged, world.key('approval', 'event', 'approval-event'))
    await world.bus.publish('decisions.v1', [{ key: grant.grantId, bytes }])
    const windowed = await system.people.grant()
    const credential = await credentialFor(world, windowed.grantId)
    const other = await system.point.call({ credential, ...read, observed: { call_id: 'call_2222222222222222' } })
    await system.point.report(system.point.outcome(other, 'call_2222222222222222', 'succeeded'))
    // A later grant is completed after both: the forged completions would have happened by then.
    const last = await system.people.grant({ ...one, seconds: 1800 })
    const lastCredential = await credentialFor(world, last.grantId)
    const done = await system.point.call({
      credential: lastCredential,
      ...read,
      observed: { call_id: 'call_3333333333333333' },
    })
    await system.point.report(system.point.outcome(done, 'call_3333333333333333', 'succeeded'))
    await eventually(async () => (await completions(world)).length > 0)
    expect(await completions(world)).toMatchObject([{ data: { grant: { id: last.grantId } } }])
  })
})
