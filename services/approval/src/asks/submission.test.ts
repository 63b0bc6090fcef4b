import type { Agent } from '@bailiwick/contracts'
import { type BindingToken, generateKey, sha256, signBindingToken } from '@bailiwick/credentials'
import { systemClock, testClock } from '@bailiwick/kit'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { agentId, agentOf, answering, authority, aWorld, type World } from '../approval.fixture.ts'
import { aPerson } from '../browser.fixture.ts'
import { askHash, coolDownHash } from './duplicates.ts'

const carefulId = 'spiffe://acme.example/agent/careful'
const carefulKey = generateKey('agent')
const careful: Agent = {
  id: carefulId,
  name: 'careful',
  owner: 'olga',
  attestor: { kind: 'registered_key', keys: [{ instance: 'one', jwk: carefulKey.publicJwk as { kty: 'EC' } & never }] },
  labels: [],
  proactive_requests: false,
}
const urn = (name: string) => `urn:openid:authzen:access-request:error:${name}`
const tool = (id: string) => ({ type: 'tool', id: `invoices/${id}` })
const of = (...tools: string[]) => ({
  authority: { ...authority, permissions: tools.map((id) => ({ actions: ['tools/call'], resource: tool(id) })) },
})
const item = (id: string) => ({ resource: tool(id), action: { name: 'tools/call' } })

let world: World
beforeAll(async () => {
  world = await aWorld({ agents: [careful] })
})
afterAll(() => world[Symbol.asyncDispose]())
beforeEach(async () => {
  for (const key of [world.keys.one, carefulKey]) {
    const agent = key === carefulKey ? agentOf(world, key, `${carefulId}/one`) : agentOf(world)
    for (const { task } of (await agent.list()).json().tasks) if (task.status === 'pending') await agent.cancel(task.id)
  }
})

let decisions = 0
function aDenial(over: Partial<BindingToken> = {}) {
  const iat = Math.floor(systemClock.now() / 1000)
  const action = { name: 'tools/call', resource: tool('read'), action_digest: 'A'.repeat(43) }
  const jti = `dec_${String(++decisions).padStart(26, '0')}`
  const claims = {
    iss: 'http://pdp',
    aud: world.trust.installation,
    jti,
    iat,
    exp: iat + 600,
    reason: 'action_not_granted',
  }
  const token = { ...claims, sub: `${carefulId}/one`, action, ...over }
  const binding_token = signBindingToken(token, world.binding)
  return { binding_token, expires_at: new Date(token.exp * 1000).toISOString(), evaluation_id: jti }
}

describe('items', () => {
  it('are answered in the order in which they were named, each with its status', async () => {
    const agent = agentOf(world)
    const items = [item('read'), item('adjust')]
    const answer = await agent.send(agent.sign(of('read', 'adjust')), { items, resource: undefined, action: undefined })
    expect(answer.json().task.items).toEqual(items.map((each) => ({ ...each, status: 'pending' })))
  })

  it.each<[string, object]>([
    ['beside a resource', { items: [item('read'), item('adjust')] }],
    ['with nothing named', { resource: undefined, action: undefined }],
    ['without an action', { action: undefined }],
  ])('a submission %s is malformed', async (_, around) => {
    const agent = agentOf(world)
    expect((await agent.send(agent.sign(of('read', 'adjust')), around)).json()).toMatchObject({
      code: 'request_malformed',
    })
  })

  it.each<[string, object]>([
    ['other items', { items: [item('read'), item('delete')], resource: undefined, action: undefined }],
    ['fewer items', { items: [item('read')], resource: undefined, action: undefined }],
    ['another order', { items: [item('adjust'), item('read')], resource: undefined, action: undefined }],
    ['another resource', { resource: tool('delete') }],
    ['another action', { action: { name: 'GET' } }],
    ['another subject', { subject: { type: 'agent', id: carefulId } }],
    ['a person', { subject: { type: 'user', id: 'olga' } }],
    ['an unverified actor', { client: { actor: { id: 'olga' } } }],
    ['a chain of actors', { client: { actor: { id: 'spiffe://acme.example/agent/ledger', act: { sub: 'x' } } } }],
  ])('what names %s than was signed is refused', async (_, around) => {
    const agent = agentOf(world)
    const answer = await agent.send(agent.sign(of('read', 'adjust')), around)
    expect(answer.json()).toMatchObject({ code: 'submission_contradicted', status: 400 })
  })
})

describe('Idempotency-Key', () => {
  it('makes one task of one body, and refuses another under the same key', async () => {
    const agent = agentOf(world)
    const request = agent.sign()
    const headers = { 'idempotency-key': '"k-1"' }
    const [first, again] = [await agent.send(request, {}, headers), await agent.send(request, {}, headers)]
    expect(again.json().task.id).toBe(first.json().task.id)
    const other = await agent.send(agent.sign(), {}, { 'idempotency-key': 'k-1' })
    expect(other.json()).toMatchObject({ type: urn('duplicate_request'), status: 409, code: 'idempotency_key_reused' })
    await agent.list() // learns the nonce
    const dpop = agent.proof('POST', '/access/v1/requests')
    const around = await agent.send(request, { context: { more: 1 } }, { ...headers, dpop })
    expect(around.json()).toMatchObject({ type: urn('duplicate_request') })
    expect((await agent.send(agent.sign(), {}, { 'idempotency-key': 'k 1' })).json()).toMatchObject({
      code: 'request_malformed',
    })
  })

  it('is each agent’s own', async () => {
    const agent = agentOf(world)
    const other = agentOf(world, world.keys.other, 'spiffe://acme.example/agent/forecast/one')
    const headers = { 'idempotency-key': 'k-2' }
    expect((await agent.send(agent.sign(), {}, headers)).statusCode).toBe(202)
    const answer = await other.send(other.sign(), {}, headers)
    expect(answer.statusCode).toBe(202)
    await other.cancel(answer.json().task.id)
  })
})

describe('the bytes of an ask, which stand in the log', () => {
  it('reveal the outcome to their agent only, and plant no Idempotency-Key (V11, V18)', async () => {
    const clock = testClock(0)
    await using late = await aWorld({ clock })
    const agent = agentOf(late)
    const olga = aPerson(late)
    await olga.enrol()
    const now = () => Math.floor((systemClock.now() + clock.now()) / 1000)
    const ask = () => agent.sign({ iat: now(), exp: now() + 30 })
    const [request, waiting, unheard] = [ask(), ask(), ask()]
    const first = await agent.send(request)
    expect(first.json()).toMatchObject({ task: { status: 'pending' } })
    const { id } = first.json().task
    const stranger = agentOf(late, late.keys.other)
    const resend = (what: string, headers: Record<string, string> = {}) => agent.send(what, {}, headers)
    const before = await resend(request)
    expect((await olga.post(`/requests/${id}/deny`)).status).toBe(200)
    const ways: Record<string, string>[] = [
      {},
      { dpop: 'a.b.c' },
      { dpop: stranger.proof('POST', '/access/v1/requests') },
      { dpop: agent.proof('GET', '/access/v1/requests') },
      { 'idempotency-key': 'planted' },
    ]
    for (const headers of ways) {
      const answer = await resend(request, headers)
      expect([answer.statusCode, answer.json(), answer.headers.location]).toEqual([
        202,
        before.json(),
        before.headers.location,
      ])
    }
    const { task, ...more } = before.json()
    expect([Object.keys(task).sort(), more]).toEqual([['id', 'items', 'links', 'status', 'status_endpoint'], {}])
    expect(task.status).toBe('pending')
    expect((await resend(waiting, { 'idempotency-key': 'planted' })).statusCode).toBe(202)
    // Its own agent learns the outcome, with a proof of this very call, which counts once.
    await agent.list() // learns the nonce
    const dpop = agent.proof('POST', '/access/v1/requests')
    const own = await resend(request, { dpop })
    expect(own.json()).toMatchObject({ task: { id, status: 'denied' } })
    expect((await resend(request, { dpop })).json()).toMatchObject({ code: 'token_replayed' })
    // For any other caller, an old ask looks like one that was never received.
    clock.advance(40_000)
    await answering(late)
    for (const old of [request, unheard]) expect((await resend(old)).json()).toMatchObject({ code: 'token_expired' })
    await agent.list() // learns the nonce
    const again = await resend(request, { dpop: agent.proof('POST', '/access/v1/requests') })
    expect(again.json().task).toMatchObject({ id, status: 'denied' })
  })
})

describe('an agent that may only answer denials', () => {
  const agent = () => agentOf(world, carefulKey, `${carefulId}/one`)
  const answer = (denial: ReturnType<typeof aDenial>, over: object = of('read'), around: object = {}) => {
    const request = agent().sign({ binding_token_hash: sha256(denial.binding_token), ...over })
    return agent().send(request, { denial, ...around })
  }

  it('asks for nothing by itself, neither over HTTP nor by topic', async () => {
    const refused = await agent().send(agent().sign(of('read')))
    expect(refused.json()).toMatchObject({ type: urn('not_requestable'), status: 400, code: 'denial_not_requestable' })
    expect(refused.headers['content-type']).toContain('application/problem+json')
  })

  it('asks for what was denied, once, and for nothing besides (V10)', async () => {
    const denial = aDenial()
    const taken = await answer(denial)
    expect(taken.statusCode, taken.body).toBe(202)
    const { received } = world.issuer.projection.ledger.requests.requests.get(taken.json().task.id) ?? {}
    expect(received).toMatchObject({ denial: { decision_id: denial.evaluation_id } })
    for (const over of [of('read', 'adjust'), of('adjust')]) {
      const wider = await answer(aDenial(), over, { resource: tool('read'), action: { name: 'tools/call' } })
      expect(['denial_binding_invalid', 'submission_contradicted']).toContain(wider.json().code)
    }
    expect((await answer(denial)).json()).toMatchObject({ type: urn('invalid_denial_binding'), status: 400 })
  })

  it('refuses the denial of another instance, even if this one signed its hash (V12)', async () => {
    const other = await answer(aDenial({ sub: 'spiffe://acme.example/agent/ledger/one' }))
    expect(other.json()).toMatchObject({ code: 'denial_binding_invalid' })
    const foreign = aDenial()
    const request = agent().sign({ ...of('read'), binding_token_hash: sha256('another token') })
    expect((await agent().send(request, { denial: foreign })).json()).toMatchObject({ code: 'denial_binding_invalid' })
  })

  it('learns the reason in the terms of the profile', async () => {
    const now = Math.floor(systemClock.now() / 1000)
    const late = await answer(aDenial({ iat: now - 700, exp: now - 100 }))
    expect(late.json()).toMatchObject({ type: urn('expired_denial'), status: 410 })
    const { binding_token: _, ...byReference } = aDenial()
    const unbound = await agent().send(agent().sign(of('read')), { denial: byReference })
    expect(unbound.json()).toMatchObject({ type: urn('invalid_denial_binding'), status: 400 })
  })

  it('answers several denials item by item, and needs one for each', async () => {
    const [read, adjust] = [aDenial(), aDenial()]
    const second = aDenial({ action: { name: 'tools/call', resource: tool('adjust'), action_digest: 'A'.repeat(43) } })
    const tokens = [read.binding_token, second.binding_token]
    const request = agent().sign({ ...of('read', 'adjust'), binding_token_hash: sha256(tokens.join()) })
    const bare = { resource: undefined, action: undefined }
    const one = { items: [{ ...item('read'), denial: read }, item('adjust')], ...bare }
    expect((await agent().send(request, one)).json()).toMatchObject({ code: 'denial_binding_invalid' })
    const whole = { items: [item('read'), item('adjust')], denial: adjust, ...bare }
    expect((await agent().send(request, whole)).json()).toMatchObject({ code: 'denial_binding_invalid' })
    const both = {
      items: [
        { ...item('read'), denial: read },
        { ...item('adjust'), denial: second },
      ],
      ...bare,
    }
    expect((await agent().send(request, both)).statusCode).toBe(202)
  })
})

describe('own requests', () => {
  it('are listed newest first, in pages, to their own agent', async () => {
    const agent = agentOf(world)
    const ids: string[] = []
    for (let n = 0; n < 3; n++) ids.unshift((await agent.send(agent.sign())).json().task.id)
    const first = (await agent.list({ limit: '2' })).json()
    expect(first.tasks.map(({ task }: { task: { id: string } }) => task.id)).toEqual(ids.slice(0, 2))
    const next = (await agent.list({ limit: '1', after: first.next })).json()
    expect(next.tasks[0].task).toMatchObject({ id: ids[2], status: 'pending' })
    const stranger = agentOf(world, world.keys.other, 'spiffe://acme.example/agent/ledger/one')
    expect((await stranger.list()).json()).toMatchObject({ type: urn('unknown_task'), status: 404 })
    const url = `/access/v1/requests?agent=${encodeURIComponent(agentId)}`
    expect((await world.http.inject({ method: 'GET', url })).json()).toMatchObject({ code: 'caller_unauthenticated' })
    expect((await agent.list({ after: `req_${'0'.repeat(43)}` })).statusCode).toBe(404)
  })

  it('have the profile’s errors', async () => {
    const agent = agentOf(world)
    for (const id of [`req_${'0'.repeat(43)}`, 'arq_01HX4Y3AJZ7Y56W2F9H8Q8C1V4', 'no-task'])
      for (const answer of [await agent.status(id), await agent.cancel(id)])
        expect(answer.json()).toMatchObject({ type: urn('unknown_task'), status: 404 })
  })

  it.each<[string, Parameters<ReturnType<typeof agentOf>['cancel']>[1]]>([
    ['nothing', {}],
    ['nothing, as JSON', { headers: { 'content-type': 'application/json' } }],
    ['a reason and a comment', { payload: { reason: 'not_needed', comment: 'done by hand' } }],
    ['members of others', { payload: { 'urn:example:why': 1 } }],
  ])('are cancelled by a post of %s', async (_, body) => {
    const agent = agentOf(world)
    const { id } = (await agent.send(agent.sign())).json().task
    const answer = await agent.cancel(id, body)
    expect([answer.statusCode, answer.json()]).toMatchObject([200, { task: { id, status: 'cancelled' } }])
  })
})

describe('the same ask again', () => {
  const same = { expires_in_seconds: 777 }

  it('is folded into the one that waits, over HTTP and by its own id', async () => {
    const agent = agentOf(world)
    const [first, second] = [agent.sign(same), agent.sign(same)]
    const { id } = (await agent.send(first)).json().task
    expect((await agent.send(second, {}, { 'idempotency-key': 'k-folded' })).json().task.id).toBe(id)
    const reused = await agent.send(agent.sign(), {}, { 'idempotency-key': 'k-folded' })
    expect(reused.json()).toMatchObject({ code: 'idempotency_key_reused' })
    expect((await agent.status(`req_${sha256(second)}`)).json().task.id).toBe(id)
    // Another instance's ask is not folded: the grant would belong to that instance.
    const two = agentOf(world, world.keys.two, 'spiffe://acme.example/agent/ledger/two')
    const other = (await two.send(two.sign(same))).json().task.id
    expect(other).not.toBe(id)
    await two.cancel(other)
  })

  it('rests after a denial, twice as long after each, even under another task name', async () => {
    const clock = testClock(0)
    await using late = await aWorld({ clock })
    const olga = aPerson(late)
    await olga.enrol()
    const asked = (task: string) => {
      const agent = agentOf(late)
      const now = Math.floor((systemClock.now() + clock.now()) / 1000)
      return agent.send(agent.sign({ ...same, authority: { ...authority, task }, iat: now, exp: now + 600 }))
    }
    for (const minutes of [5, 10]) {
      const { id } = (await asked('one')).json().task
      expect((await olga.post(`/requests/${id}/deny`)).status).toBe(200)
      const refused = await asked('another')
      expect(refused.json()).toMatchObject({ code: 'rate_limited', status: 429 })
      const seconds = Number(refused.headers['retry-after'])
      expect(seconds).toBeGreaterThan(minutes * 60 - 30)
      expect(seconds).toBeLessThanOrEqual(minutes * 60)
      clock.advance((minutes * 60 + 1) * 1000)
      await answering(late)
      await olga.signIn()
    }
    expect((await asked('third')).statusCode).toBe(202)
  })

  it('has one hash however it is written, and another one when anything that is asked differs', () => {
    const claims = fc.record({
      authority: fc.dictionary(fc.string(), fc.jsonValue()),
      mode: fc.constantFrom('window', 'per_action'),
      action_digest: fc.option(fc.string(), { nil: undefined }),
      rebind: fc.constantFrom(undefined, 'none', 'attested'),
      expires_in_seconds: fc.integer({ min: 1, max: 28_800 }),
    })
    const reversed = (value: object) => Object.fromEntries(Object.entries(value).reverse())
    fc.assert(
      fc.property(claims, fc.string(), (ask, jti) => {
        const hash = askHash(ask)
        const other = { ...reversed(ask), authority: reversed(ask.authority), jti, iat: 1 }
        expect(askHash(other)).toBe(hash)
        expect(coolDownHash({ ...ask, authority: { ...ask.authority, task: jti } })).toBe(coolDownHash(ask))
        expect(askHash({ ...ask, expires_in_seconds: ask.expires_in_seconds + 1 })).not.toBe(hash)
        expect(askHash({ ...ask, mode: 'continuous' })).not.toBe(hash)
        expect(askHash({ ...ask, authority: { ...ask.authority, '\u0000more': 1 } })).not.toBe(hash)
      }),
    )
  })
})
