import { type Agent, encodeEnvelope } from '@bailiwick/contracts'
import { generateKey, sha256, signAccessRequest, thumbprint } from '@bailiwick/credentials'
import { systemClock } from '@bailiwick/kit'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { agentOf, anAsk, authority, aWorld, type World } from '../approval.fixture.ts'
import { aPerson } from '../browser.fixture.ts'
import { Spire } from './authority.fixture.ts'
import { Workloads } from './workloads.ts'

const podAgent = 'spiffe://acme.example/agent/pods'
const otherPodAgent = 'spiffe://acme.example/agent/other-pods'
const joiner = 'spiffe://acme.example/agent/joiner'
const spire = new Spire()
let world: World
beforeAll(async () => {
  const joins = { ...spire.agent(joiner), attestor: { kind: 'join_token' as const } }
  world = await aWorld({ agents: [spire.agent(podAgent), spire.agent(otherPodAgent), joins] })
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  spire[Symbol.dispose]()
})
beforeEach(async () => {
  for (const { id, state } of received()) if (state === 'pending') await cancelAs.get(id)?.()
})

const received = () => [...world.issuer.projection.ledger.requests.requests.values()]
const cancelAs = new Map<string, () => Promise<unknown>>()

/** A pod with its own key, which is not registered. */
function aPod(sub = `${podAgent}/one`, key = generateKey('agent')) {
  const agent = agentOf(world, key, sub)
  const submit = async (over: object = {}, request = agent.sign()) => {
    const attestation = { token: spire.svid(sub), jwk: key.publicJwk, ...over }
    const answer = await agent.submit(request, { attestation })
    const { id } = answer.json().task ?? {}
    if (id) cancelAs.set(id, () => agent.cancel(id))
    return answer
  }
  return { ...agent, key, submit }
}

describe('a workload without a registered key', () => {
  it('asks with a token and a key of its own; the event has the key, and never the token (V17)', async () => {
    const pod = aPod()
    const token = spire.svid(`${podAgent}/one`)
    const answer = await pod.submit({ token })
    expect(answer.statusCode).toBe(202)
    const ask = received().find(({ id }) => id === answer.json().task.id)?.received
    expect(ask).toMatchObject({
      agent: `${podAgent}/one`,
      instance_key: thumbprint(pod.key.publicJwk),
      attestation: { kind: 'jwt_svid', token_hash: sha256(token), jwk: pod.key.publicJwk },
    })
    expect(JSON.stringify(ask)).not.toContain(token)
    expect(world.log()).not.toContain(token)
  })

  it('is bound by no authority that its agent attests to no longer (V12)', async () => {
    const workloads = new Workloads({ clock: systemClock, publicUrl: 'http://localhost:8421' })
    const agent = spire.agent(podAgent)
    const { publicJwk: jwk } = generateKey('agent')
    await workloads.attest(agent, `${podAgent}/one`, jwk, { token: spire.svid(`${podAgent}/one`), jwk })
    const bound = (as: typeof agent) => workloads.boundKey(as, `${podAgent}/one`, thumbprint(jwk))
    expect(bound({ ...agent, name: 'renamed' })?.jwk).toEqual(jwk)
    using other = new Spire()
    expect(bound(other.agent(podAgent))).toBeUndefined()
  })

  it('sees and takes back nothing any more by a key of an authority that its agent attests to no longer (V12)', async () => {
    const moving = 'spiffe://acme.example/agent/moving'
    using next = new Spire()
    const until = spire.agent(moving)
    await using world = await aWorld({ agents: [until] })
    const [olga, sub] = [aPerson(world), `${moving}/one`]
    await olga.enrol()
    const registered = async (value: Agent) => {
      const payload = { proposer: 'carl', entities: [{ type: 'agent', id: moving, value }] }
      const said = await world.operator.inject({ method: 'POST', url: '/operator/registry/changes', payload })
      expect((await olga.approve(said.json().request_id)).body).toMatchObject({ applied: true })
    }
    const asks = async (by: Spire) => {
      const key = generateKey('agent')
      const pod = agentOf(world, key, sub)
      const answer = await pod.submit(pod.sign(), { attestation: { token: by.svid(sub), jwk: key.publicJwk } })
      return { pod, id: String(answer.json().task?.id) }
    }
    const { pod: old, id } = await asks(spire)
    await registered({ ...until, name: 'renamed' })
    expect((await old.status(id)).statusCode).toBe(200)
    await registered(next.agent(moving))
    const refused = { type: 'urn:openid:authzen:access-request:error:unknown_task', code: 'access_request_unknown' }
    for (const answer of [await old.status(id), await old.cancel(id), await old.list()])
      expect([answer.statusCode, answer.json()]).toEqual([404, expect.objectContaining(refused)])
    // The agent's tasks are visible to instances that its current attestor vouches for.
    const { pod } = await asks(next)
    expect((await pod.cancel(id)).json()).toMatchObject({ task: { status: 'cancelled' } })
    // A key that lost its standing stays out, even if its authority comes back.
    await registered(until)
    expect((await old.status(id)).statusCode).toBe(404)
  })

  it('two instances of one agent have names of their own', async () => {
    const [one, two] = [aPod(), aPod(`${podAgent}/two`)]
    const ids = [(await one.submit()).json().task.id, (await two.submit()).json().task.id]
    const asks = ids.map((id) => received().find((record) => record.id === id)?.received)
    expect(asks).toMatchObject([{ agent: `${podAgent}/one` }, { agent: `${podAgent}/two` }])
  })

  const cases: [string, () => Promise<{ json(): unknown }>, string][] = [
    [
      'for the token endpoint',
      () => aPod().submit({ token: spire.svid(`${podAgent}/one`, { aud: ['http://localhost:8421'] }) }),
      'token_audience_wrong',
    ],
    ['of another agent', () => aPod().submit({ token: spire.svid(`${otherPodAgent}/one`) }), 'key_unknown'],
    ['of another instance', () => aPod().submit({ token: spire.svid(`${podAgent}/two`) }), 'key_unknown'],
    [
      'that has expired',
      () => aPod().submit({ token: spire.svid(`${podAgent}/one`, { exp: 1_700_000_000 }) }),
      'token_expired',
    ],
    ['and the key of another agent', () => aPod().submit({ jwk: generateKey('agent').publicJwk }), 'key_unknown'],
    ['that is none', () => aPod().submit({ token: 'token' }), 'token_malformed'],
  ]
  it.each(cases)('is refused with a token %s, and nothing changes', async (_, submit, code) => {
    const before = received().length
    expect((await submit()).json()).toMatchObject({ code })
    expect(received()).toHaveLength(before)
  })

  it('learns nothing of rules before it has attested, and no rule is matched (V18)', async () => {
    const [permission] = authority.permissions
    for (const actions of [permission.actions, ['no/such-rule']]) {
      const pod = aPod()
      const request = pod.sign({ authority: { ...authority, permissions: [{ ...permission, actions }] } as never })
      expect((await pod.submit({ token: 'made-up' }, request)).json()).toMatchObject({ code: 'token_malformed' })
    }
  })

  it('is refused without a token', async () => {
    const pod = aPod()
    const answer = await agentOf(world, pod.key, `${podAgent}/one`).submit(pod.sign())
    expect(answer.json()).toMatchObject({ code: 'caller_unauthenticated' })
  })

  it('cannot be robbed of its token: with another key it is refused (V10)', async () => {
    const token = spire.svid(`${podAgent}/one`)
    expect((await aPod().submit({ token })).statusCode).toBe(202)
    expect((await aPod().submit({ token })).json()).toMatchObject({ code: 'token_replayed' })
  })

  it('a registered key needs no token, and takes none', async () => {
    const agent = agentOf(world)
    const attestation = { token: spire.svid('spiffe://acme.example/agent/ledger/one'), jwk: world.keys.one.publicJwk }
    expect((await agent.submit(agent.sign(), { attestation })).json()).toMatchObject({ code: 'request_malformed' })
  })

  it('sees its own requests, and no others, by any key that its agent attested', async () => {
    const [one, two] = [aPod(), aPod(`${podAgent}/two`)]
    const { id } = (await one.submit()).json().task
    const stranger = aPod(`${otherPodAgent}/one`)
    await stranger.submit()
    expect((await two.status(id)).statusCode).toBe(404) // nothing attested yet
    await two.submit()
    const seen = await Promise.all([one, two, stranger, aPod()].map((pod) => pod.status(id)))
    expect(seen.map(({ statusCode }) => statusCode)).toEqual([200, 200, 404, 404])
    expect((await one.cancel(id)).json()).toMatchObject({ task: { status: 'cancelled' } })
  })
})

describe('on the topic', () => {
  const publish = (request: string) => {
    const now = new Date(systemClock.now()).toISOString()
    const id = `evt_${sha256(request).slice(0, 26)}`
    const bytes = encodeEnvelope({
      specversion: '1.0',
      id,
      source: `${podAgent}/one`,
      type: 'access-request.submitted',
      time: now,
      subject: id,
      partitionkey: id,
      datacontenttype: 'application/json',
      dataschema: 'urn:bailiwick:schema:access-requests.v1:access-request.submitted',
      data: { request },
    })
    return world.bus.publish('access-requests.v1', [{ key: id, bytes }])
  }

  it('a key that was bound over HTTP asks too, and another one does not', async () => {
    const pod = aPod()
    await pod.submit()
    const [bound, unbound] = [
      pod.sign(),
      signAccessRequest(anAsk(world.trust, { sub: `${podAgent}/one` }), generateKey('agent')),
    ]
    await publish(unbound)
    await publish(bound)
    await expect.poll(() => received().some(({ id }) => id === `req_${sha256(bound)}`)).toBe(true)
    expect(received().some(({ id }) => id === `req_${sha256(unbound)}`)).toBe(false)
    const ask = received().find(({ id }) => id === `req_${sha256(bound)}`)?.received
    expect(ask).toMatchObject({ received_by: 'topic', attestation: { kind: 'jwt_svid', jwk: pod.key.publicJwk } })
    await pod.cancel(`req_${sha256(bound)}`)
  })
})

describe('a join token', () => {
  const offer = (secret: string, instance = `${joiner}/laptop`) =>
    world.operator.inject({
      method: 'POST',
      url: '/operator/join-tokens/approval',
      payload: { instance, token_hash: sha256(secret), minutes: 10 },
    })

  it('lets one key in, once (V10)', async () => {
    expect((await offer('s3cret')).statusCode).toBe(200)
    const [pod, thief] = [aPod(`${joiner}/laptop`), aPod(`${joiner}/laptop`)]
    expect((await pod.submit({ token: 's3cret' })).statusCode).toBe(202)
    expect((await thief.submit({ token: 's3cret' })).json()).toMatchObject({ code: 'token_replayed' })
    expect((await aPod(`${joiner}/laptop`).submit({ token: 'guess' })).json()).toMatchObject({ code: 'key_unknown' })
  })

  it('is made for agents that join by one, and for no others', async () => {
    for (const instance of [`${podAgent}/one`, 'spiffe://acme.example/agent/unknown/one'])
      expect((await offer('x', instance)).json()).toMatchObject({ code: 'entity_unknown' })
  })
})
