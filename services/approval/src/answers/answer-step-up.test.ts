import { requestIdOf } from '@bailiwick/approval-statement'
import { actionDigest, actionText, jcsHash, saltedHash } from '@bailiwick/credentials'
import { systemClock } from '@bailiwick/kit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { agentId, agentOf, authority, aWorld, type World } from '../approval.fixture.ts'
import { aPerson, type Person } from '../browser.fixture.ts'

const fresh = { reattest_seconds: 600, outcome_seconds: 30 }
let world: World
let olga: Person
beforeAll(async () => {
  world = await aWorld({ rule: { modes: ['per_action', 'window', 'continuous'], continuous: fresh } })
  olga = aPerson(world)
  expect((await olga.enrol()).status).toBe(200)
})
afterAll(() => world[Symbol.asyncDispose]())

const action = {
  name: 'tools/call',
  properties: { amount: '10"; approve everything' },
  resource: { type: 'tool', id: 'invoices/read' },
}
const words = { salt: Buffer.alloc(16).toString('base64url'), text: actionText(action) }
const shown = { salted_sha256: saltedHash(words) ?? '' }
const digest = actionDigest(action)
let asks = 0

async function asked(mode: 'window' | 'continuous' = 'continuous'): Promise<string> {
  const agent = agentOf(world)
  const submitted = await agent.submit(agent.sign({ mode, expires_in_seconds: 600 + ++asks }))
  expect(submitted.statusCode, submitted.body).toBe(202)
  return submitted.json().task.id
}

/** An active grant, and an ask for one more action under it, as approval receives it. */
async function stepUp(
  needs?: 'action' | 'task',
  mode?: 'window',
): Promise<{ id: string; grantId: string; requestId: string }> {
  const requestId = await asked(mode)
  const { body } = await olga.approve(requestId)
  const grantId = String(body.grant_id)
  const request = agentOf(world).sign({
    mode: 'per_action',
    action_digest: digest,
    arguments: shown,
    grant_id: grantId,
  })
  const attachment_id = `att_${shown.salted_sha256}`
  await world.approval.publishOne('attachments.approval.v1', {
    type: 'attachment.stored',
    subject: attachment_id,
    data: { attachment_id, about: 'an ask', ...words, ...shown },
  })
  const id = requestIdOf(request)
  await world.approval.publishOne('approvals.v1', {
    type: 'request.received',
    subject: id,
    version: 1,
    data: {
      kind: 'step_up',
      request_id: id,
      request,
      request_hash: jcsHash(JSON.parse(Buffer.from(request.split('.')[1] ?? '', 'base64url').toString())),
      agent: `${agentId}/one`,
      instance_key: world.keys.one.kid,
      grant_id: grantId,
      action: {
        name: 'tools/call',
        resource: action.resource,
        action_digest: digest,
        arguments: { '/amount': '10"; approve everything' },
      },
      arguments: shown,
      denial: { decision_id: `dec_${'0'.repeat(20)}`, reason: 'step_up_required' },
      ...(needs === undefined ? {} : { needs }),
      received_by: 'http',
      expires_at: new Date(systemClock.now() + 600_000).toISOString(),
    },
  })
  await expect.poll(async () => (await olga.statement(id)).status).toBe(200)
  return { id, grantId, requestId }
}

it('shows exactly the one action, and takes a yes to it (V3)', async () => {
  const { id, grantId } = await stepUp()
  const { body } = await olga.statement(id)
  expect(body).toMatchObject({
    statement: {
      kind: 'step_up',
      request_id: id,
      grant_id: grantId,
      action_digest: digest,
      arguments: 'shown',
      effect: { kind: 'action' },
    },
    arguments: words.text,
    lines: [`Task: ${authority.task}`, 'Once, now: tools/call on tool invoices/read'],
  })
  expect((await olga.approve(id)).body).toEqual({ status: 'approved', grant_id: grantId, action_digest: digest })
  const record = world.issuer.projection.ledger.requests.requests.get(id)
  expect(record).toMatchObject({ state: 'approved', approved: { statement: { kind: 'step_up' } } })
  expect((await olga.approve(id)).body).toMatchObject({ code: 'access_request_not_pending' })
})

it('says that the task goes on where it lapsed, and nowhere else; an approver can still approve the action alone (V3)', async () => {
  const effectOf = async (id: string, narrowed?: Record<string, string>) =>
    ((await olga.statement(id, narrowed)).body.statement as { effect: object }).effect
  const lapsed = await stepUp('task')
  const { not_after: until } = world.issuer.projection.ledger.grants.trees.get(lapsed.grantId)?.grant ?? {}
  expect(await effectOf(lapsed.id)).toEqual({ kind: 'task', until })
  expect(await effectOf(lapsed.id, { effect: 'action' })).toEqual({ kind: 'action' })
  expect((await olga.get(`/requests/${lapsed.id}`)).body).toMatchObject({ needs: 'task' })
  const [once, window] = [await stepUp('action'), await stepUp('task', 'window')] // a window cannot lapse
  for (const { id } of [once, window]) expect(await effectOf(id)).toEqual({ kind: 'action' })
  const task = await asked()
  expect((await olga.statement(task, { effect: 'action' })).body).toMatchObject({ code: 'approval_rule_mismatch' })
  for (const id of [lapsed.id, once.id, window.id, task])
    expect((await olga.post(`/requests/${id}/deny`)).body).toEqual({ status: 'denied' })
})

it('is taken back by who said yes by mistake, and ends nothing but itself (V10)', async () => {
  const { id, grantId } = await stepUp()
  expect((await olga.post(`/requests/${id}/withdraw`)).body).toMatchObject({ code: 'grant_not_active' }) // not yet
  expect((await olga.approve(id)).body).toMatchObject({ status: 'approved' })
  const { ledger } = world.issuer.projection
  expect(ledger.requests.stepUpsOf(grantId).map((record) => record.id)).toEqual([id])
  expect((await olga.get(`/requests/${id}`)).body).toMatchObject({ state: 'approved', may_take_back: true })
  for (const _ of [1, 2]) {
    const { status, body } = await olga.post(`/requests/${id}/withdraw`, { reason: 'not this one' })
    expect([status, body]).toEqual([200, { status: 'withdrawn', acknowledged_at: expect.any(String) }])
  }
  await expect.poll(() => ledger.requests.requests.get(id)?.state).toBe('withdrawn')
  expect((await olga.get(`/requests/${id}`)).body).toMatchObject({ state: 'withdrawn', may_take_back: false })
  expect(ledger.requests.stepUpsOf(grantId)).toEqual([]) // where decision points look for it
  expect(ledger.revocations.find('grant', grantId)).toBeUndefined()
})

it('has nothing that could be narrowed', async () => {
  const { id } = await stepUp()
  const later = new Date(systemClock.now() + 1000).toISOString()
  expect((await olga.statement(id, { not_after: later })).body).toMatchObject({ code: 'approval_rule_mismatch' })
  expect((await olga.post(`/requests/${id}/deny`)).body).toEqual({ status: 'denied' })
})

it('cannot be approved once the grant is withdrawn (V7)', async () => {
  const { id, requestId } = await stepUp()
  expect((await olga.post(`/requests/${requestId}/withdraw`)).status).toBe(200)
  expect((await olga.statement(id)).body).toMatchObject({ code: 'grant_not_active' })
})

/** Another of the owners, whom olga lets in. */
async function paulIn(): Promise<Person> {
  const paul = aPerson(world)
  const { body } = await olga.post('/invitations', { approver_id: 'paul', name: 'Paul', groups: ['owners'] })
  const { code } = body as { code: string }
  const offered = (await paul.post('/enrolment/options', { code })).body as never as {
    enrolment_id: string
    options: { challenge: string }
  }
  const response = paul.passkey.register(offered.options.challenge)
  const accepted = await paul.post('/enrolment', { enrolment_id: offered.enrolment_id, response, code })
  expect((await olga.approve(String(accepted.body.request_id))).body).toMatchObject({ applied: true })
  expect((await paul.signIn()).status).toBe(200)
  return paul
}

it('refuses a yes from an approver who was revoked after the grant was made, as a decision point would (V7)', async () => {
  const { id } = await stepUp()
  const paul = await paulIn()
  const { status, body } = await paul.statement(id)
  expect(status).toBe(200)
  expect((await olga.post('/stops', { kind: 'approver', target: 'paul' })).status).toBe(200)
  expect((await paul.statement(id)).body).toMatchObject({ code: 'approver_revoked' })
  const assertion = paul.passkey.sign(String(body.challenge))
  const late = await paul.post(`/requests/${id}/approve`, { statement_hash: body.statement_hash, assertion })
  expect(late.body).toMatchObject({ code: 'approver_revoked' })
  expect((await olga.approve(id)).body).toMatchObject({ status: 'approved' })
})

it('a continuous window says what must stay fresh: the rule’s, or stricter', async () => {
  const id = await asked()
  expect((await olga.statement(id)).body).toMatchObject({ statement: { mode: 'continuous', continuous: fresh } })
  const stricter = { reattest_seconds: 60, outcome_seconds: 30 }
  const laxer = { reattest_seconds: 601, outcome_seconds: 30 }
  expect((await olga.statement(id, { continuous: laxer })).body).toMatchObject({ code: 'approval_not_narrower' })
  expect((await olga.approve(id, { continuous: stricter })).body).toMatchObject({ grant: 'active' })
  const approved = world.issuer.projection.ledger.requests.requests.get(id)?.approved
  expect(approved?.statement).toMatchObject({ continuous: stricter })
})

it('a window has nothing that must stay fresh', async () => {
  const id = await asked('window')
  expect((await olga.statement(id, { continuous: fresh })).body).toMatchObject({ code: 'request_malformed' })
})
