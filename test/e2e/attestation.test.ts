import { faultyBus } from '@bailiwick/bus'
import { generateKey, sha256, signClientAssertion } from '@bailiwick/credentials'
import { newId } from '@bailiwick/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Point, read } from './agent-side.ts'
import { People } from './people.ts'
import {
  Authority,
  askOf,
  askToken,
  aWorkload,
  jobAgent,
  joinAgent,
  pairAgent,
  podAgent,
  type Workload,
} from './workloads.ts'
import { eventually, World } from './world.ts'

const authority = new Authority()
let world: World
let people: People
let point: Point
beforeAll(async () => {
  world = await World.open({ entities: (sample) => [...sample, ...authority.agents()] })
  people = await People.enrolled(world)
  point = new Point(world)
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  authority[Symbol.dispose]()
})

const granted = async (workload: Workload, rebind: 'none' | 'attested' = 'none') =>
  (await people.grant(askOf(workload, rebind))).grantId
const eventsOf = async (grantId: string) =>
  (await world.events('grants.v1')).filter(({ data }) =>
    'grant_id' in data ? data.grant_id === grantId : 'grant' in data && data.grant.id === grantId,
  )
const svid = (workload: Workload, over: object = {}) => authority.svid(world, workload.id, over)
const act = (workload: Workload, credential: string | undefined) =>
  point.call({ ...read, credential, proofKey: workload.key, subject: workload.id })
const privateKeyJwt = ({ id, key }: Workload) => {
  const iat = Math.floor(world.clock.now() / 1000)
  const jti = newId('call', world.clock.now(), world.random)
  return signClientAssertion({ iss: id, sub: id, aud: world.url, iat, exp: iat + 60, jti }, key)
}

describe('a workload without a registered key', () => {
  it('gets a credential with a JWT-SVID, bound to its instance and key, and acts (V4)', async () => {
    const pod = aWorkload(`${podAgent}/one`)
    const grantId = await granted(pod)
    const token = svid(pod)
    const answer = await askToken(world, pod, grantId, token)
    expect(answer.status).toBe(200)
    const intended = (await eventsOf(grantId)).find(({ type }) => type === 'credential.intended')?.data
    expect(intended).toMatchObject({
      agent: pod.id,
      jkt: pod.key.kid,
      attestation: { kind: 'jwt_svid', token_hash: sha256(token) },
    })
    expect(JSON.stringify(await world.events('grants.v1'))).not.toContain(token) // V17
    expect(await act(pod, answer.token)).toMatchObject({ decision: true })
    // The same token again, as its client caches it; its assertion need not be made anew.
    expect((await askToken(world, pod, grantId, token)).status).toBe(200)
  })

  it('need not send its client id with a JWT-SVID, because the token contains it', async () => {
    const pod = aWorkload(`${podAgent}/silent`)
    expect((await askToken(world, pod, await granted(pod), svid(pod), { client_id: pod.id })).status).toBe(200)
    const other = await askToken(world, pod, 'grt_x', svid(pod), { client_id: `${podAgent}/other` })
    expect(other).toMatchObject({ status: 401, error: 'invalid_client' })
  })

  it('gets one with an OIDC workload token', async () => {
    const job = aWorkload(`${jobAgent}/42`, 'oidc')
    const answer = await askToken(world, job, await granted(job), authority.idToken(world, '42'))
    expect(answer.status).toBe(200)
    expect(await act(job, answer.token)).toMatchObject({ decision: true })
  })

  it('gets one with a join token from the operator, for the key that redeemed it (V10)', async () => {
    const laptop = aWorkload(`${joinAgent}/laptop`, 'join_token')
    const grantId = await granted(laptop)
    expect(await askToken(world, laptop, grantId, 'secret')).toMatchObject({ status: 401 })
    const payload = { instance: laptop.id, token_hash: sha256('secret'), minutes: 10 }
    const offered = await world.operator.inject({ method: 'POST', url: '/operator/join-tokens/issuer', payload })
    expect(offered.statusCode).toBe(200)
    expect(await askToken(world, laptop, grantId, 'secret')).toMatchObject({ status: 200 })
    const thief = aWorkload(laptop.id, 'join_token')
    expect(await askToken(world, thief, grantId, 'secret')).toMatchObject({ status: 401, error: 'invalid_client' })
    expect(await askToken(world, laptop, grantId, 'secret')).toMatchObject({ status: 200 })
  })

  it.each<[string, (pod: Workload) => [string, Record<string, string>?]]>([
    ['a token for approval', (pod) => [svid(pod, { aud: [`${world.url}/access/v1/requests`] })]],
    ['a token for the token endpoint alone', (pod) => [svid(pod, { aud: [`${world.url}/oauth/token`] })]],
    ['a token for another audience', (pod) => [svid(pod, { aud: ['https://elsewhere.example'] })]],
    ['a token for us and another audience', (pod) => [svid(pod, { aud: [world.url, 'https://elsewhere.example'] })]],
    ['a token of another agent', () => [authority.svid(world, `${jobAgent}/one`)]],
    ['a token of another trust domain', () => [authority.svid(world, 'spiffe://evil.example/agent/pods/one')]],
    ['a token that has expired', (pod) => [svid(pod, { exp: 1_700_000_000 })]],
    [
      'a token of a forger',
      (pod) => [authority.token({ sub: pod.id, aud: [world.url], exp: 1_999_999_999 }, { key: generateKey('agent') })],
    ],
    [
      'only an assertion by its own key',
      (pod) => [
        privateKeyJwt(pod),
        { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' },
      ],
    ],
    [
      'a token with another type name',
      (pod) => [svid(pod), { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' }],
    ],
    ['a token of another kind of agent', (pod) => [svid(pod), { client_id: `${jobAgent}/one` }]],
  ])('gets nothing for %s (V11, V12)', async (_, make) => {
    const pod = aWorkload(`${podAgent}/one`)
    const grantId = await granted(pod)
    const [token, over] = make(pod)
    expect(await askToken(world, pod, grantId, token, over)).toMatchObject({ status: 401, error: 'invalid_client' })
    expect((await eventsOf(grantId)).map(({ type }) => type)).toEqual(['grant.created'])
  })

  it('a thief of its token gets nothing with another key (V11)', async () => {
    const pod = aWorkload(`${podAgent}/one`)
    const grantId = await granted(pod)
    const token = svid(pod)
    const thief = aWorkload(pod.id)
    // The thief goes first, before the issuer has seen the token with the right key: the grant is bound to the right
    // key anyway.
    expect(await askToken(world, thief, grantId, token)).toMatchObject({ status: 400, error: 'access_denied' })
    expect((await eventsOf(grantId)).map(({ type }) => type)).toEqual(['grant.created'])
  })

  it('an approval for a key that was never attested to the issuer is worth nothing (V3)', async () => {
    // A stolen approval service would do this: a request in the agent's name, with a key of the thief's.
    const thief = aWorkload(`${podAgent}/one`)
    const grantId = await granted(thief)
    const forged = authority.svid(world, thief.id, { aud: [`${world.url}/access/v1/requests`] })
    expect(await askToken(world, thief, grantId, forged)).toMatchObject({ status: 401 })
  })
})

describe('a restarted workload', () => {
  it('keeps its grant where the humans signed that it may, and the old credential dies at once (V11)', async () => {
    const [before, after] = [aWorkload(`${podAgent}/pod-1`), aWorkload(`${podAgent}/pod-2`)]
    const grantId = await granted(before, 'attested')
    const old = await askToken(world, before, grantId, svid(before))
    expect(await act(before, old.token)).toMatchObject({ decision: true })
    const fresh = await askToken(world, after, grantId, svid(after))
    expect(fresh.status).toBe(200)
    expect(await act(before, old.token)).toMatchObject({ decision: false, reason: 'grant_agent_mismatch' })
    expect(await act(after, fresh.token)).toMatchObject({ decision: true })
    const events = await eventsOf(grantId)
    const moved = events.find(({ type }) => type === 'grant.rebound')?.data
    expect(moved).toMatchObject({ grant: { id: grantId, agent: after.id, instance_key: after.key.kid } })
    expect(events.map(({ type }) => type).slice(-3)).toEqual([
      'grant.rebound',
      'credential.intended',
      'credential.issued',
    ])
  })

  it('gets nothing where they did not sign that', async () => {
    const before = aWorkload(`${podAgent}/pod-3`)
    const grantId = await granted(before)
    for (const after of [aWorkload(`${podAgent}/pod-4`), aWorkload(before.id)])
      expect((await askToken(world, after, grantId, svid(after))).status).toBe(400)
    expect((await eventsOf(grantId)).map(({ type }) => type)).toEqual(['grant.created'])
  })

  it('of another agent gets nothing, even if the grant survives a restart', async () => {
    const before = aWorkload(`${podAgent}/pod-5`)
    const grantId = await granted(before, 'attested')
    const job = aWorkload(`${jobAgent}/7`, 'oidc')
    const answer = await askToken(world, job, grantId, authority.idToken(world, '7'))
    expect(answer).toMatchObject({ status: 400, error: 'invalid_authorization_details' })
  })

  it('with a registered key can move to another registered key, and to no other key', async () => {
    const [one, two] = authority.pair.map((key, n) =>
      aWorkload(`${pairAgent}/${n === 0 ? 'one' : 'two'}`, 'registered_key', key),
    )
    if (!one || !two) throw new Error('there are two')
    const grantId = await granted(one, 'attested')
    const stranger = aWorkload(two.id, 'registered_key')
    expect(await askToken(world, stranger, grantId, privateKeyJwt(stranger))).toMatchObject({ status: 401 })
    const answer = await askToken(world, two, grantId, privateKeyJwt(two))
    expect(answer.status).toBe(200)
    expect(await act(two, answer.token)).toMatchObject({ decision: true })
  })

  it('gets nothing from a grant that was stopped before or after the move (V7)', async () => {
    const [before, after] = [aWorkload(`${podAgent}/pod-6`), aWorkload(`${podAgent}/pod-7`)]
    const [stopped, moved] = [await granted(before, 'attested'), await granted(before, 'attested')]
    expect(await world.revoke('grant', stopped)).toBe(200)
    expect(await askToken(world, after, stopped, svid(after))).toMatchObject({ status: 400, error: 'access_denied' })
    const answer = await askToken(world, after, moved, svid(after))
    expect(answer.status).toBe(200)
    expect(await world.revoke('agent', before.id, 20_000)).toBe(200)
    expect(await act(after, answer.token)).toMatchObject({ decision: false, reason: 'agent_revoked' })
  })

  it('cannot move to an instance that was stopped (V7)', async () => {
    const [before, after] = [aWorkload(`${podAgent}/pod-8`), aWorkload(`${podAgent}/pod-9`)]
    const grantId = await granted(before, 'attested')
    expect(await world.revoke('agent', after.id)).toBe(200)
    expect(await askToken(world, after, grantId, svid(after))).toMatchObject({ status: 400, error: 'access_denied' })
    expect((await eventsOf(grantId)).map(({ type }) => type)).toEqual(['grant.created'])
  })
})

it('a grant whose issuer dies after the move keeps its new key, and the next issuer continues (V2, V4)', async () => {
  let dead = false
  await using dying = await World.open({
    entities: (sample) => [...sample, ...authority.agents()],
    issuerBus: (real) => ({
      ...faultyBus(real, () => undefined),
      publish: (topic, events) => {
        dead ||= events.some(({ bytes }) => Buffer.from(bytes).includes('"type":"credential.intended"'))
        return dead ? new Promise<never>(() => undefined) : real.publish(topic, events)
      },
    }),
  })
  const persons = await People.enrolled(dying)
  const [before, after] = [aWorkload(`${podAgent}/pod-1`), aWorkload(`${podAgent}/pod-2`)]
  const { grantId } = await persons.grant(askOf(before, 'attested'))
  const lost = askToken(dying, after, grantId, authority.svid(dying, after.id))
  lost.catch(() => undefined)
  const rebound = async () => (await dying.events('grants.v1')).filter(({ type }) => type === 'grant.rebound')
  await eventually(async () => dead && (await rebound()).length === 1)
  await dying.startIssuer(dying.bus)
  const answer = await eventually(async () => {
    const again = await askToken(dying, after, grantId, authority.svid(dying, after.id))
    return again.status === 200 ? again : undefined
  })
  expect(answer.token).toBeDefined()
  expect(await rebound()).toHaveLength(1)
})
