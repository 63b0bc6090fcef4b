import { encodeEnvelope } from '@bailiwick/contracts'
import { generateKey, saltedHash, signAccessRequest } from '@bailiwick/credentials'
import { systemClock } from '@bailiwick/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { agentId, agentOf, anAsk, authority, aWorld, otherAgentId, type World } from '../approval.fixture.ts'

let world: World
beforeAll(async () => {
  world = await aWorld()
})
afterAll(() => world[Symbol.asyncDispose]())

const received = () => [...world.issuer.projection.ledger.requests.requests.values()]
const purpose = { salt: Buffer.alloc(16, 1).toString('base64url'), text: 'because the quarter ends' }
const signed = { purpose: { salted_sha256: saltedHash(purpose) ?? '' } }

async function clearAway() {
  const agent = agentOf(world)
  for (const { id, state } of received()) if (state === 'pending') await agent.cancel(id)
}

describe('over HTTP', () => {
  it('a signed ask becomes one request, however often it is sent', async () => {
    const agent = agentOf(world)
    const request = agent.sign()
    const answers = await Promise.all([agent.submit(request), agent.submit(request), agent.submit(request)])
    const ids = new Set(answers.map((answer) => answer.json().task.id))
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([202, 202, 202])
    expect(ids.size).toBe(1)
    expect(received().filter(({ id }) => ids.has(id))).toMatchObject([{ version: 1, state: 'pending' }])
    expect(answers[0]?.headers.location).toBe(answers[0]?.json().task.status_endpoint)
  })

  const cases: [string, (agent: ReturnType<typeof agentOf>) => string, string][] = [
    ['by an unregistered key', () => signAccessRequest(anAsk(world.trust), generateKey('agent')), 'key_unknown'],
    ['by another agent in its name', () => signAccessRequest(anAsk(world.trust), world.keys.other), 'key_unknown'],
    ['by another instance in its name', () => signAccessRequest(anAsk(world.trust), world.keys.two), 'key_unknown'],
    [
      'by an agent that is not registered',
      (a) => a.sign({ sub: 'spiffe://acme.example/agent/x/one' }),
      'agent_unknown',
    ],
    ['and changed afterwards', (a) => flipped(a.sign()), 'signature_invalid'],
    ['for another installation', (a) => a.sign({ aud: 'ins_0000000000' }), 'token_audience_wrong'],
    ['too long ago', (a) => a.sign({ iat: 1_700_000_000, exp: 1_700_000_600 }), 'token_expired'],
    [
      'in words that are not understood',
      (a) => a.sign({ authority: { ...authority, also: 1 } }),
      'authority_not_understood',
    ],
    ['for what no rule holds', (a) => a.sign({ authority: withActions(['GET']) }), 'approval_rule_missing'],
    ['for a mode that the rule does not have', (a) => a.sign({ mode: 'continuous' }), 'approval_rule_mismatch'],
    ['for one action without naming it', (a) => a.sign({ mode: 'per_action' }), 'request_malformed'],
    ['for longer than the rule allows', (a) => a.sign({ expires_in_seconds: 5 * 3600 }), 'approval_rule_mismatch'],
    ['for a time that is over', (a) => a.sign(ends(-60_000)), 'request_malformed'],
    ['for a day', (a) => a.sign(ends(24 * 3600_000)), 'request_malformed'],
  ]
  it.each(cases)('refuses what was signed %s, and nothing changes', async (_, sign, code) => {
    const before = received().length
    const answer = await agentOf(world).submit(sign(agentOf(world)))
    expect(answer.json()).toMatchObject({ code })
    expect(received()).toHaveLength(before)
  })

  it('refuses a subject that did not sign', async () => {
    const agent = agentOf(world)
    const answer = await agent.submit(agent.sign(), {}, otherAgentId)
    expect(answer.json()).toMatchObject({ code: 'submission_contradicted' })
    await clearAway()
  })

  it('refuses a body that two readers would read differently, or that is too large', async () => {
    const agent = agentOf(world)
    const send = (payload: string) =>
      world.http.inject({
        method: 'POST',
        url: '/access/v1/requests',
        payload,
        headers: { 'content-type': 'application/json' },
      })
    const bailiwick = JSON.stringify({ request: agent.sign() })
    const twice = `{"subject":{"type":"agent","id":"${agentId}"},"bailiwick":${bailiwick},"bailiwick":${bailiwick}}`
    expect((await send(twice)).json()).toMatchObject({ code: 'json_malformed' })
    expect((await send(`{"a":"${'x'.repeat(300_000)}"}`)).json()).toMatchObject({ code: 'body_too_large' })
    expect((await send('{"bailiwick":{}}')).json()).toMatchObject({ code: 'request_malformed' })
  })

  it('keeps prose that was signed out of every event, and takes no other (V17)', async () => {
    const agent = agentOf(world)
    const other = { ...purpose, text: 'because I say so' }
    expect((await agent.submit(agent.sign(signed), { purpose: other })).json()).toMatchObject({
      code: 'request_malformed',
    })
    expect((await agent.submit(agent.sign(), { purpose })).json()).toMatchObject({ code: 'request_malformed' })
    // The log shows the hash of others' words. Under that hash they would be shown as this agent's, and erased with its own.
    expect((await agent.submit(agent.sign(signed))).json()).toMatchObject({ code: 'request_malformed' })
    const salt = 'no salt of sixteen bytes'
    expect((await agent.submit(agent.sign(), { purpose: { salt, text: '' } })).statusCode).toBe(400)
    const taken = await agent.submit(agent.sign(signed), { purpose })
    expect(taken.statusCode).toBe(202)
    const leaves = await eventsOf('approvals.v1')
    expect(leaves.some((text) => text.includes(signed.purpose.salted_sha256))).toBe(true)
    expect(leaves.some((text) => text.includes(purpose.text))).toBe(false)
    expect((await eventsOf('attachments.approval.v1')).some((text) => text.includes(purpose.text))).toBe(true)
    expect(world.log()).not.toContain(purpose.text)
    await clearAway()
  })

  it('lets one agent have five requests pending, and another agent is not touched by it (V18)', async () => {
    const agent = agentOf(world)
    const asks = await Promise.all(Array.from({ length: 7 }, () => agent.submit(agent.sign())))
    expect(asks.map(({ statusCode }) => statusCode).sort()).toEqual([202, 202, 202, 202, 202, 429, 429])
    expect(asks.find(({ statusCode }) => statusCode === 429)?.headers['retry-after']).toBeDefined()
    const other = agentOf(world, world.keys.other, `${otherAgentId}/one`)
    const quiet = await other.submit(other.sign())
    expect(quiet.statusCode).toBe(202)
    await other.cancel(quiet.json().task.id)
    await clearAway()
  })
})

it('an agent that asks and cancels again and again must wait, like one that only asks (V18)', async () => {
  await using later = await aWorld()
  const agent = agentOf(later)
  const askAndCancel = async (by: typeof agent, n: number) => {
    const submitted = await by.submit(by.sign({ expires_in_seconds: 600 + n }))
    if (submitted.statusCode === 202) await by.cancel(submitted.json().task.id)
    return submitted
  }
  for (let n = 0; n < 20; n++) expect((await askAndCancel(agent, n)).statusCode).toBe(202)
  const refused = await askAndCancel(agent, 20)
  expect(refused.json()).toMatchObject({ code: 'rate_limited' })
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(3500)
  const other = agentOf(later, later.keys.other, `${otherAgentId}/one`)
  expect((await askAndCancel(other, 0)).statusCode).toBe(202)
})

it('each agent has its own bucket for asks, which no other agent can empty (V18)', async () => {
  await using busy = await aWorld()
  const agent = agentOf(busy)
  // An ask that no rule allows, which is judged once the agent is known. It leaves nothing behind, so it is not recognised when repeated.
  const burst = async (request: string) =>
    (await Promise.all(Array.from({ length: 200 }, () => agent.submit(request)))).map((answer) => answer.json().code)
  const made = await burst(signAccessRequest(anAsk(busy.trust, { mode: 'continuous' }), generateKey('agent')))
  expect(new Set(made)).toEqual(new Set(['key_unknown']))
  const own = await burst(agent.sign({ mode: 'continuous' }))
  expect(new Set(own)).toEqual(new Set(['approval_rule_mismatch', 'rate_limited']))
  const other = agentOf(busy, busy.keys.other, `${otherAgentId}/one`)
  // A process that was this busy may first have to show that it is not cut off.
  await expect.poll(async () => (await other.submit(other.sign())).statusCode).toBe(202)
})

describe('by topic', () => {
  it('takes what an agent signed, refuses and counts the rest, and goes on', async () => {
    const agent = agentOf(world)
    const request = agent.sign()
    const bytes = [
      Buffer.from('not an event'),
      anEvent({ request: flipped(request) }),
      anEvent({ request: signAccessRequest(anAsk(world.trust), world.keys.other) }),
      anEvent({ request }),
      anEvent({ request }), // delivered again
    ]
    await world.bus.publish(
      'access-requests.v1',
      bytes.map((event) => ({ key: 'k', bytes: event })),
    )
    const count = await world.issuer.projection.until(
      () =>
        received().filter((r) => r.received?.kind === 'access' && r.received.request === request).length || undefined,
      5000,
    )
    expect(count).toBe(1)
    await expect.poll(() => taken('received')).toBe(2)
    expect(await taken('refused')).toBe(3)
    expect(received().filter((r) => r.received?.kind === 'access' && r.received.received_by === 'topic')).toHaveLength(
      1,
    )
    await clearAway()
  })
})

describe('the handle of a request', () => {
  it('is for the keys of its own agent, each proof once, for this very call (V10, V11)', async () => {
    const agent = agentOf(world)
    const { id } = (await agent.submit(agent.sign())).json().task
    expect((await agent.status(id)).statusCode).toBe(200) // learns the nonce, if one is still required
    const proof = agent.proof('GET', `/access/v1/requests/${id}`)
    expect((await agent.status(id, proof)).statusCode).toBe(200)
    expect((await agent.status(id, proof)).json()).toMatchObject({ code: 'token_replayed' })
    const anonymous = await agent.status(id, '')
    expect(anonymous.json()).toMatchObject({ code: 'caller_unauthenticated' })
    expect(anonymous.headers['www-authenticate']).toBe('DPoP algs="ES256 EdDSA Ed25519"')
    expect((await agent.status(id, agent.proof('POST', `/access/v1/requests/${id}`))).statusCode).toBe(401)
    expect((await agent.status(id, agent.proof('GET', '/access/v1/requests/x'))).statusCode).toBe(401)
    expect((await agentOf(world, world.keys.two).status(id)).statusCode).toBe(200)
    const stranger = agentOf(world, world.keys.other)
    expect((await stranger.status(id)).json()).toMatchObject({ code: 'access_request_unknown' })
    expect((await stranger.cancel(id)).json()).toMatchObject({ code: 'access_request_unknown' })
    expect((await agentOf(world, generateKey('agent')).status(id)).statusCode).toBe(404)
    expect((await agent.status(`req_${'0'.repeat(43)}`)).statusCode).toBe(404)
    await clearAway()
  })

  it('cancels, and says so again when asked again', async () => {
    const agent = agentOf(world)
    const { id } = (await agent.submit(agent.sign())).json().task
    for (const _ of [1, 2]) expect((await agent.cancel(id)).json()).toMatchObject({ task: { status: 'cancelled' } })
    expect((await agent.status(id)).json()).toMatchObject({ task: { status: 'cancelled' } })
  })
})

/** How many messages from the topic had this result. */
async function taken(result: string): Promise<number> {
  const pattern = new RegExp(`access_requests_total\\{result="${result}",service="test"\\} (\\d+)`)
  return Number(pattern.exec(await world.metrics.text())?.[1] ?? 0)
}

function flipped(jws: string): string {
  const at = jws.lastIndexOf('.') + 5
  return `${jws.slice(0, at)}${jws[at] === 'A' ? 'B' : 'A'}${jws.slice(at + 1)}`
}

function withActions(actions: string[]) {
  return { ...authority, permissions: authority.permissions.map((permission) => ({ ...permission, actions })) }
}

function ends(inMs: number) {
  return { not_after: new Date(systemClock.now() + inMs).toISOString() }
}

function anEvent(data: object): Uint8Array {
  return encodeEnvelope({
    specversion: '1.0',
    id: `evt_${Buffer.from(crypto.getRandomValues(new Uint8Array(12))).toString('hex')}`,
    source: `${agentId}/one`,
    type: 'access-request.submitted',
    time: new Date(systemClock.now()).toISOString(),
    subject: 'k',
    datacontenttype: 'application/json',
    dataschema: 'urn:bailiwick:schema:access-requests.v1:access-request.submitted',
    partitionkey: 'k',
    data,
  })
}

async function eventsOf(topic: string): Promise<string[]> {
  const texts: string[] = []
  await using following = await world.bus.follow([topic], 'start', async (batch) => {
    for (const { bytes } of batch) texts.push(Buffer.from(bytes).toString())
  })
  await following.caughtUp
  return texts
}
