import { verifyApproval } from '@bailiwick/approval-statement'
import { testClock } from '@bailiwick/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { agentId, agentOf, answering, authority, aWorld, type World } from '../approval.fixture.ts'
import { aPerson, type Person } from '../browser.fixture.ts'

let world: World
let olga: Person
beforeAll(async () => {
  world = await aWorld()
  olga = aPerson(world)
  expect((await olga.enrol()).status).toBe(200)
})
afterAll(() => world[Symbol.asyncDispose]())

async function asked(at: World = world, over: Parameters<ReturnType<typeof agentOf>['sign']>[0] = {}) {
  const agent = agentOf(at)
  const submitted = await agent.submit(agent.sign(over))
  expect(submitted.statusCode, submitted.body).toBe(202)
  return { agent, id: submitted.json().task.id as string }
}

const stateOf = (id: string, at: World = world) => at.issuer.projection.ledger.requests.requests.get(id)
const withBudget = (calls: number) => ({ authority: { ...authority, budget: { calls } } })

describe('approving', () => {
  it('gives a grant of what was shown, which any reader can verify (V2, V3)', async () => {
    const { agent, id } = await asked()
    expect((await agent.status(id)).json()).toMatchObject({ task: { id, status: 'pending' } })
    const approved = await olga.approve(id)
    expect(approved.body).toMatchObject({ status: 'approved', grant: 'active' })
    expect((await agent.status(id)).json()).toMatchObject({
      task: { id, status: 'approved' },
      result: { mode: 'reevaluate', approval: { grant_id: approved.body.grant_id } },
    })
    const { registry, requests } = world.issuer.projection.ledger
    const event = requests.requests.get(id)?.approved
    if (event?.statement.kind !== 'approval') throw new Error('not approved')
    const agentEntity = registry.get('agent', 'spiffe://acme.example/agent/ledger')
    if (!agentEntity) throw new Error('no agent')
    const { statement, assertions } = event
    const at = Date.parse(statement.issued_at)
    const view = registry.view()
    const check = { statement, assertions, registry: view, agent: agentEntity, trust: world.trust, at }
    expect(await verifyApproval(check)).toEqual({ ok: true, approverIds: ['olga'] })
    expect(Object.keys(statement.manifests)).toEqual(['invoices'])
  })

  it('lets the approver narrow an ask, but not widen it', async () => {
    const { id, agent } = await asked()
    const wider = [
      withBudget(21),
      { authority: { ...authority, task: 'another' } },
      { not_after: new Date(Date.parse(stateOf(id)?.received?.expires_at ?? '') + 8 * 3600_000).toISOString() },
    ]
    for (const narrowed of wider)
      expect((await olga.statement(id, narrowed)).body).toMatchObject({ code: 'approval_not_narrower' })
    expect((await olga.statement(id, { authority: { ...authority, also: 1 } })).body).toMatchObject({
      code: 'authority_not_understood',
    })
    expect((await olga.approve(id, withBudget(3))).body).toMatchObject({ grant: 'active' })
    expect(stateOf(id)?.approved?.statement).toMatchObject({ authority: { budget: { calls: 3 } } })
    expect((await agent.status(id)).json()).toMatchObject({ task: { status: 'approved' } })
  })

  it('gives one grant when two tabs approve at once (V10)', async () => {
    const { id } = await asked()
    const tabs = await Promise.all([olga.statement(id), olga.statement(id, withBudget(2))])
    const answers = await Promise.all(
      tabs.map(({ body }) =>
        olga.post(`/requests/${id}/approve`, {
          statement_hash: body.statement_hash,
          assertion: olga.passkey.sign(String(body.challenge)),
        }),
      ),
    )
    expect(answers.map(({ body }) => body.status).filter((status) => status === 'approved')).toHaveLength(1)
    expect(answers.map(({ body }) => body.code).filter((code) => code !== undefined)).toEqual([
      'access_request_not_pending',
    ])
  })

  it.each([
    ['all', '*'],
    ['agent', agentId],
    ['approver', 'olga'],
    ['tool-server', 'invoices'],
  ])(
    'publishes nothing that was revoked since it was shown, %s %s, and takes what is shown anew (V7)',
    async (kind, target) => {
      const { id } = await asked()
      const { body } = await olga.statement(id)
      expect((await olga.post('/stops', { kind, target })).status).toBe(200)
      const assertion = olga.passkey.sign(String(body.challenge))
      const late = await olga.post(`/requests/${id}/approve`, { statement_hash: body.statement_hash, assertion })
      expect([late.status, late.body.code]).toEqual([409, 'revoked_since_shown'])
      expect(stateOf(id)?.state).toBe('pending')
      expect((await olga.approve(id)).body).toMatchObject({ status: 'approved', grant: 'active' })
    },
  )

  it('takes a statement once, from the session that was shown it, for its own request (V10)', async () => {
    const [first, second] = [await asked(), await asked()]
    const { body } = await olga.statement(first.id)
    const answer = { statement_hash: body.statement_hash, assertion: olga.passkey.sign(String(body.challenge)) }
    const tab = aPerson(world, olga.passkey)
    expect((await tab.signIn()).status).toBe(200)
    expect((await tab.post(`/requests/${first.id}/approve`, answer)).body).toMatchObject({ code: 'statement_unknown' })
    expect(tab.cookie).not.toBe(olga.cookie)
    expect((await olga.post(`/requests/${second.id}/approve`, answer)).body).toMatchObject({
      code: 'statement_unknown',
    })
    // The attempt on the other request used up the challenge: a person who is unsure renders again.
    expect((await olga.post(`/requests/${first.id}/approve`, answer)).body).toMatchObject({ code: 'statement_unknown' })
    expect(stateOf(first.id)?.state).toBe('pending')
    for (const { id, agent } of [first, second]) expect((await agent.cancel(id)).statusCode).toBe(200)
  })

  it.each([
    ['another challenge', (person: Person) => person.passkey.sign(Buffer.alloc(32, 1).toString('base64url'))],
    ['an unregistered passkey', (_: Person, challenge: string) => aPerson(world).passkey.sign(challenge)],
    ['a page elsewhere', (p: Person, c: string) => p.passkey.sign(c, { origin: 'http://localhost:9999' })],
    ['another site', (p: Person, c: string) => p.passkey.sign(c, { rpId: 'evil.example' })],
    [
      'a person whom the authenticator did not verify',
      (p: Person, c: string) => p.passkey.sign(c, { userVerified: false }),
    ],
  ])('refuses the signature of %s, and grants nothing (V3)', async (_, sign) => {
    const { id, agent } = await asked()
    const { body } = await olga.statement(id)
    const assertion = sign(olga, String(body.challenge))
    const answer = await olga.post(`/requests/${id}/approve`, { statement_hash: body.statement_hash, assertion })
    expect(answer.status).toBe(403)
    expect(stateOf(id)?.state).toBe('pending')
    expect((await agent.cancel(id)).statusCode).toBe(200)
  })
})

describe('who is at the console', () => {
  it('needs a session for everything that shows or answers', async () => {
    const { id, agent } = await asked()
    const stranger = aPerson(world)
    expect((await stranger.get('/state')).body).toMatchObject({ code: 'caller_unauthenticated' })
    for (const verb of ['statement', 'deny', 'withdraw'])
      expect((await stranger.post(`/requests/${id}/${verb}`)).body).toMatchObject({ code: 'caller_unauthenticated' })
    stranger.cookie = '__Host-bailiwick=AAAA'
    expect((await stranger.get('/state')).status).toBe(401)
    stranger.cookie = `${olga.cookie}; __Host-bailiwick=AAAA`
    expect((await stranger.get('/state')).status).toBe(401)
    await agent.cancel(id)
  })

  it('takes posts from its own page alone, and as JSON', async () => {
    const { id, agent } = await asked()
    for (const origin of [
      'http://localhost:8422',
      'https://localhost:8421',
      'null',
      'http://localhost:8421.evil.example',
    ])
      expect((await olga.post(`/requests/${id}/deny`, {}, { origin })).body).toMatchObject({ code: 'origin_forbidden' })
    const crossSite = await olga.post(`/requests/${id}/deny`, {}, { 'sec-fetch-site': 'same-site' })
    expect(crossSite.body).toMatchObject({ code: 'origin_forbidden' })
    const plain = await olga.post(`/requests/${id}/deny`, {}, { 'content-type': 'text/plain' })
    expect(plain.body).toMatchObject({ code: 'content_type_unsupported' })
    const { statusCode } = await world.http.inject({
      method: 'POST',
      url: `/console/api/requests/${id}/deny`,
      headers: { cookie: olga.cookie ?? '' },
      payload: {},
    })
    expect(statusCode).toBe(403)
    expect(stateOf(id)?.state).toBe('pending')
    await agent.cancel(id)
  })

  it('does not reveal who is an approver: an unknown name seems to have passkeys, too (V17)', async () => {
    const stranger = aPerson(world)
    const passkeysOf = async (name: string) => {
      const { body } = await stranger.post('/session/options', { approver_id: name })
      return (body as never as { options: { allowCredentials: { id: string }[] } }).options.allowCredentials.map(
        ({ id }) => id,
      )
    }
    const mine = await passkeysOf('olga')
    expect(mine).toEqual([olga.passkey.id])
    const [unknown, others] = [await passkeysOf('unknown'), await passkeysOf('unknown-too')]
    const shape = (ids: string[]) => ids.map(({ length }) => length)
    expect([shape(unknown), shape(others)]).toEqual([shape(mine), shape(mine)])
    expect(await passkeysOf('unknown')).toEqual(unknown)
    expect(new Set([...mine, ...unknown, ...others]).size).toBe(3)
  })

  it('gives a cookie that scripts, other sites and plain connections never see, and ends it', async () => {
    const person = aPerson(world, olga.passkey)
    const asked = await person.post('/session/options')
    const { sign_in_id, options } = asked.body as never as { sign_in_id: string; options: { challenge: string } }
    const body = { sign_in_id, assertion: olga.passkey.sign(options.challenge) }
    const response = await world.http.inject({
      method: 'POST',
      url: '/console/api/session',
      headers: { origin: 'http://localhost:8421' },
      payload: body,
    })
    expect(response.headers['set-cookie']).toMatch(
      /^__Host-bailiwick=[\w-]{43}; Path=\/; Max-Age=1800; Secure; HttpOnly; SameSite=Strict$/,
    )
    expect((await person.post('/session', body)).body).toMatchObject({ code: 'statement_unknown' }) // replayed (V10)
    person.cookie = String(response.headers['set-cookie']).split(';')[0]
    expect((await person.get('/state')).status).toBe(200)
    await person.post('/session/end')
    person.cookie = String(response.headers['set-cookie']).split(';')[0]
    expect((await person.get('/state')).status).toBe(401)
  })
})

it('takes nothing of a copied authenticator, whose counter stands still, at sign-in or as an answer (V10)', async () => {
  await using own = await aWorld()
  const person = aPerson(own)
  await person.enrol()
  expect((await person.signIn({ signCount: 7 })).status).toBe(200)
  expect((await person.signIn({ signCount: 7 })).body).toMatchObject({ code: 'assertion_invalid' })
  expect((await person.signIn({ signCount: 8 })).status).toBe(200)
  const answer = async (id: string, signCount: number) => {
    const { body } = await person.statement(id)
    const assertion = person.passkey.sign(String(body.challenge), { signCount })
    return person.post(`/requests/${id}/approve`, { statement_hash: body.statement_hash, assertion })
  }
  const { id } = await asked(own)
  expect((await answer(id, 8)).body).toMatchObject({ code: 'assertion_invalid' })
  expect((await answer(id, 9)).status).toBe(200)
  expect((await person.signIn({ signCount: 9 })).body).toMatchObject({ code: 'assertion_invalid' })
})

describe('saying no', () => {
  it('denies, and nothing can approve it afterwards', async () => {
    const { id, agent } = await asked()
    const { body } = await olga.statement(id)
    expect((await olga.post(`/requests/${id}/deny`, { reason: 'not this quarter' })).body).toEqual({ status: 'denied' })
    const assertion = olga.passkey.sign(String(body.challenge))
    const late = await olga.post(`/requests/${id}/approve`, { statement_hash: body.statement_hash, assertion })
    expect(late.body).toMatchObject({ code: 'access_request_not_pending' })
    expect((await agent.status(id)).json()).toMatchObject({ task: { status: 'denied' } })
    expect(world.log()).not.toContain('not this quarter')
  })

  it('withdraws, answers when the revocation counts, and says the same when asked again (V7)', async () => {
    const { id, agent } = await asked()
    const { body } = await olga.approve(id)
    const answers = await Promise.all([olga.post(`/requests/${id}/withdraw`), olga.post(`/requests/${id}/withdraw`)])
    const revocation = world.issuer.projection.ledger.revocations.find('grant', String(body.grant_id))
    for (const answer of answers)
      expect(answer.body).toMatchObject({ status: 'withdrawn', revoked_sequence: revocation?.version })
    expect((await agent.status(id)).json()).toMatchObject({ task: { status: 'cancelled' } })
    const state = await olga.get('/state')
    expect(state.body.grants).toContainEqual(expect.objectContaining({ id: body.grant_id, state: 'revoked' }))
  })

  it('answers nothing that is not there, or was never granted', async () => {
    const { id, agent } = await asked()
    expect((await olga.post(`/requests/${id}/withdraw`)).body).toMatchObject({ code: 'grant_not_active' })
    expect((await olga.post(`/requests/req_${'0'.repeat(43)}/deny`)).body).toMatchObject({
      code: 'access_request_unknown',
    })
    await agent.cancel(id)
  })
})

it('shows prose as data, cut, and the canonical fields in plain words', async () => {
  const { id, agent } = await asked()
  const { body } = await olga.get('/state')
  expect(body).toMatchObject({ single_operator: true, me: { id: 'olga', groups: ['owners'] } })
  expect(body.requests).toContainEqual(
    expect.objectContaining({
      id,
      lines: expect.arrayContaining(['Task: reconcile', 'At most 20 calls in all']),
      prose: null,
      may_approve: true,
      rule: { id: 'tasks', group: 'owners', quorum: 1, narrowing: true },
    }),
  )
  await agent.cancel(id)
})

it('lets no approver narrow an ask when the rule forbids narrowing', async () => {
  await using strict = await aWorld({ rule: { narrowing: false } })
  const person = aPerson(strict)
  await person.enrol()
  const { id } = await asked(strict)
  expect((await person.statement(id, withBudget(3))).body).toMatchObject({ code: 'approval_rule_mismatch' })
  const sooner = new Date(Date.parse(stateOf(id, strict)?.received?.expires_at ?? '') - 60_000).toISOString()
  expect((await person.statement(id, { not_after: sooner })).body).toMatchObject({ code: 'approval_rule_mismatch' })
  expect((await person.approve(id)).body).toMatchObject({ grant: 'active' })
})

it('lets the owner of an agent deny it and not approve it, where the rule excludes owners', async () => {
  await using strict = await aWorld({ singleOperator: false, rule: { owner_may_approve: false } })
  const owner = aPerson(strict)
  await owner.enrol('olga')
  const { id } = await asked(strict)
  expect((await owner.statement(id)).body).toMatchObject({ code: 'approver_is_owner' })
  expect((await owner.get('/state')).body.requests).toMatchObject([{ may_approve: false, may_deny: true }])
  expect((await owner.post(`/requests/${id}/deny`)).body).toEqual({ status: 'denied' })
})

it('answers nothing after its time, says so on the topic, and the agent hears it', async () => {
  const clock = testClock(0)
  await using later = await aWorld({ clock, requestLifeSeconds: 600 })
  const person = aPerson(later)
  await person.enrol()
  const { id } = await asked(later)
  const { body } = await person.statement(id)
  const assertion = person.passkey.sign(String(body.challenge))
  const again = agentOf(later).sign()
  const { id: known } = (await agentOf(later).submit(again)).json().task
  clock.advance(610_000)
  await answering(later)
  // Handed in again when the signature is too old for a new request: it is still the old request, which expired.
  const agent = agentOf(later)
  await agent.list({}, 610_000) // learns the nonce
  const dpop = agent.proof('POST', '/access/v1/requests', 610_000)
  const handed = await agent.send(again, {}, { dpop })
  expect(handed.json()).toMatchObject({ task: { id: known, status: 'expired' } })
  const late = await person.post(`/requests/${id}/approve`, { statement_hash: body.statement_hash, assertion })
  expect(['access_request_expired', 'statement_unknown']).toContain(late.body.code)
  expect((await person.statement(id)).body).toMatchObject({ code: 'access_request_expired' })
  const { projection } = later.issuer
  const expired = () => (stateOf(id, later)?.state === 'expired' ? true : undefined)
  expect(await projection.until(expired, 4000)).toBe(true)
})
