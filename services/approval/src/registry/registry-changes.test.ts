import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Agent, Approver } from '@bailiwick/contracts'
import { paths, policySetOf, storePolicyFiles } from '@bailiwick/installation'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { agentId, agentOf, aRule, aWorld, type World } from '../approval.fixture.ts'
import { aPerson, type Person } from '../browser.fixture.ts'

let world: World
let olga: Person
let paul: Person
beforeAll(async () => {
  world = await aWorld({ singleOperator: false, rule: { approvers: { group: 'owners', quorum: 2 } } })
  olga = aPerson(world)
  paul = aPerson(world)
})
afterAll(() => world[Symbol.asyncDispose]())

async function propose(entities: object[], proposer = 'carl') {
  const payload = { proposer, entities }
  const response = await world.operator.inject({ method: 'POST', url: '/operator/registry/changes', payload })
  return { status: response.statusCode, body: response.json() }
}

/** Olga alone is not enough, regardless of the proposer. Paul is the second signer. */
async function bothApprove(id: string) {
  expect((await olga.approve(id)).body).toEqual({ status: 'endorsed', endorsements: 1 })
  return (await paul.approve(id)).body
}

const registry = () => world.issuer.projection.ledger.registry
const approverOf = (id: string, groups: string[], { passkey }: Person): Approver => ({
  id,
  name: id,
  groups,
  credentials: [
    {
      credential_id: passkey.id,
      public_key: passkey.publicKey,
      sign_count: 0,
      registered_at: '2026-11-24T12:00:00.000Z',
    },
  ],
})

it('refuses every proposal while no approver is enrolled', async () => {
  const refused = await propose([{ type: 'rule', id: 'more', value: aRule({ id: 'more' }) }])
  expect(refused.body).toMatchObject({ code: 'registry_change_refused' })
  expect((await olga.enrol()).status).toBe(200)
})

it('shows what a change would do, applies it after a passkey signature, and never by the proposer alone (V3)', async () => {
  const value = approverOf('paul', ['owners'], paul)
  const last = { type: 'rule', id: 'own', value: aRule({ id: 'own', order: 900_000 }) }
  const own = await propose([last], 'olga')
  const two = { why_people: 'two', rule: { quorum: 2 } }
  expect((await olga.get(`/requests/${own.body.request_id}`)).body).toMatchObject(two)
  expect((await olga.approve(own.body.request_id)).body).toMatchObject({ status: 'endorsed', endorsements: 1 })
  const smuggled = await propose([{ type: 'approver', id: 'paul', value }, last], 'olga')
  expect((await olga.approve(smuggled.body.request_id)).body).toMatchObject({ status: 'endorsed', endorsements: 1 })
  expect([registry().get('approver', 'paul'), registry().get('rule', 'own')]).toEqual([undefined, undefined])

  const rival = await propose([{ type: 'approver', id: 'paul', value }], 'olga')
  expect((await olga.get(`/requests/${rival.body.request_id}`)).body).toMatchObject({
    why_people: 'second',
    rule: { quorum: 1 },
  })
  const proposed = await propose([{ type: 'approver', id: 'paul', value }])
  expect(proposed.body.diff).toEqual([{ type: 'approver', id: 'paul', verb: 'register', before: null, after: value }])
  const { body } = await olga.get('/state')
  expect(body.changes).toContainEqual(expect.objectContaining({ id: proposed.body.request_id, proposer: 'carl' }))
  expect((await olga.approve(proposed.body.request_id)).body).toEqual({ status: 'approved', applied: true })
  await expect.poll(() => registry().get('approver', 'paul')).toEqual(value)
  // The state that the other proposal was made for is gone.
  expect((await olga.statement(rival.body.request_id)).body).toMatchObject({ code: 'registry_change_conflict' })

  await paul.signIn()
  expect((await paul.approve(own.body.request_id)).body).toEqual({ status: 'approved', applied: true })
  const { id } = await askedOf()
  expect((await olga.approve(id)).body).toEqual({ status: 'endorsed', endorsements: 1 })
  expect((await olga.approve(id)).body).toEqual({ status: 'endorsed', endorsements: 1 }) // one person counts once (V10)
  const [mine, theirs] = [await olga.statement(id), await paul.statement(id)]
  expect(theirs.body.statement_hash).toBe(mine.body.statement_hash) // all k people sign the same statement
  const stolen = olga.passkey.sign(String(theirs.body.challenge))
  const { statement_hash } = theirs.body
  expect((await paul.post(`/requests/${id}/approve`, { statement_hash, assertion: stolen })).body).toMatchObject({
    code: 'approver_unknown',
  })
  expect((await paul.approve(id)).body).toMatchObject({ status: 'approved', grant: 'active' })
})

it('refuses to retire a person’s last passkey, or the last approver, before a signature is asked for (V3)', async () => {
  const both = ['olga', 'paul'].map((id) => ({ type: 'approver', id, value: null }))
  expect((await propose(both)).body).toMatchObject({
    code: 'registry_change_refused',
    detail: 'retires the last approver',
  })
  const bare = { ...registry().get('approver', 'paul'), credentials: [] }
  expect((await propose([{ type: 'approver', id: 'paul', value: bare }])).body).toMatchObject({
    code: 'request_malformed',
  })
})

it('refuses a rule for registry changes that takes more people than there are, since no one could undo it', async () => {
  const ruleOf = (quorum: number, group = 'owners') =>
    aRule({ id: 'registry', match: { actions: ['registry/change'] }, approvers: { group, quorum } })
  const locked = { code: 'registry_change_refused', detail: expect.stringContaining('the rule registry would take') }
  for (const value of [ruleOf(3), ruleOf(1, 'empty')])
    expect((await propose([{ type: 'rule', id: 'registry', value }])).body).toMatchObject(locked)
  const moved = { ...registry().get('approver', 'paul'), groups: [] }
  const both = [
    { type: 'rule', id: 'registry', value: ruleOf(2) },
    { type: 'approver', id: 'paul', value: moved },
  ]
  expect((await propose(both)).body).toMatchObject(locked)
  expect((await propose(both.slice(0, 1))).status).toBe(200)
})

it('shows the signer which rules would have too few people to approve anything', async () => {
  const starvedBy = async (...entities: object[]) => {
    const { body } = await propose(entities)
    return (await olga.get(`/requests/${body.request_id}`)).body.starved as object[]
  }
  const rule = (approvers: object) => ({ type: 'rule', id: 'late', value: aRule({ id: 'late', approvers } as never) })
  const paulIn = (...groups: string[]) => {
    return { type: 'approver', id: 'paul', value: { ...registry().get('approver', 'paul'), groups } }
  }
  const late = { rule: 'late', group: 'empty', quorum: 1, members: [] }
  expect(await starvedBy(rule({ group: 'empty', quorum: 1 }))).toEqual([late])
  expect(await starvedBy(rule({ group: 'empty', quorum: 1 }), paulIn('owners', 'empty'))).toEqual([])
  expect(await starvedBy(rule({ group: 'owners', quorum: 2 }))).toEqual([])
  const short = { group: 'owners', quorum: 2, members: ['olga'] }
  const left = await starvedBy(paulIn())
  expect(left).toEqual(
    registry().rules.flatMap(({ id, approvers }) => (approvers.quorum === 2 ? [{ ...short, rule: id }] : [])),
  )
  expect(left.length).toBeGreaterThan(0)
})

it('refuses an agent whose owner is not an enrolled approver (V3)', async () => {
  const { callbacks: _, ...known } = registry().get('agent', agentId) as Agent
  const id = 'spiffe://acme.example/agent/new'
  const owned = (owner: string) => ({ type: 'agent', id, value: { ...known, id, owner } })
  for (const owner of ['owners', 'Olga', 'vera']) {
    const refused = await propose([owned(owner)])
    expect(refused.body).toMatchObject({ code: 'registry_change_refused', detail: expect.stringContaining(owner) })
  }
  const vera = { type: 'approver', id: 'vera', value: approverOf('vera', ['auditors'], aPerson(world)) }
  for (const change of [[owned('olga')], [owned('vera'), vera]]) expect((await propose(change)).status).toBe(200)
  const leaves = [{ type: 'approver', id: 'paul', value: null }, owned('paul')]
  const left = { code: 'registry_change_refused', detail: expect.stringContaining('owner paul') }
  expect((await propose(leaves)).body).toMatchObject(left)
})

describe('an approver of another group', () => {
  it('sees, and can neither approve, deny nor withdraw', async () => {
    const vera = aPerson(world)
    const added = await propose([{ type: 'approver', id: 'vera', value: approverOf('vera', ['auditors'], vera) }])
    expect(await bothApprove(added.body.request_id)).toMatchObject({ applied: true })
    await vera.signIn()
    const { id, agent } = await askedOf()
    expect((await vera.get('/state')).body.requests).toContainEqual(
      expect.objectContaining({ id, may_approve: false, may_deny: false, why_not: 'approver_not_in_group' }),
    )
    expect((await vera.statement(id)).body).toMatchObject({ code: 'approver_not_in_group' })
    expect((await vera.post(`/requests/${id}/deny`)).body).toMatchObject({ code: 'approver_not_in_group' })
    await olga.approve(id)
    expect((await paul.approve(id)).body).toMatchObject({ grant: 'active' })
    expect((await vera.post(`/requests/${id}/withdraw`)).body).toMatchObject({ code: 'approver_not_in_group' })
    expect((await agent.status(id)).json()).toMatchObject({ task: { status: 'approved' } })

    const retired = await propose([{ type: 'approver', id: 'vera', value: null }])
    expect(retired.body.diff).toMatchObject([{ verb: 'retire', after: null }])
    expect(await bothApprove(retired.body.request_id)).toMatchObject({ applied: true })
    expect((await vera.get('/state')).status).toBe(401) // a session ends when its person is no longer enrolled
  })
})

it.each([
  ['twice the same entity', [aWanted('x'), aWanted('x')], 'request_malformed'],
  ['another id inside', [{ type: 'rule', id: 'y', value: aRule({ id: 'z' }) }], 'request_malformed'],
  ['an unknown member', [{ type: 'rule', id: 'x', value: { ...aRule({ id: 'x' }), also: 1 } }], 'request_malformed'],
  ['an unknown type', [{ type: 'planet', id: 'x', value: null }], 'request_malformed'],
  ['the end of what is not there', [{ type: 'rule', id: 'nowhere', value: null }], 'entity_unknown'],
])('refuses a proposal of %s', async (_, entities, code) => {
  expect((await propose(entities)).body).toMatchObject({ code })
})

it('proposes no recovery: that is the root key’s (V3)', async () => {
  const { publicJwk: jwk } = world.keys.one
  const value = { id: 'rcv-1', jwk, approver_id: 'eve', name: 'Eve', groups: [] }
  expect((await propose([{ type: 'recovery', id: 'rcv-1', value }])).body).toMatchObject({
    code: 'registry_change_refused',
  })
})

it('makes no request of what is so already', async () => {
  const agent = registry().get('agent', agentId)
  expect((await propose([{ type: 'agent', id: agentId, value: agent }])).body).toMatchObject({
    request_id: null,
    diff: [],
  })
})

it('shows operators the registry and how requests stand', async () => {
  const entities = await world.operator.inject({ method: 'GET', url: '/operator/registry' })
  expect(entities.json()).toMatchObject({ enrolled: true })
  expect(entities.json().entities).toContainEqual(expect.objectContaining({ type: 'agent', id: agentId, version: 1 }))
  const requests = await world.operator.inject({ method: 'GET', url: '/operator/requests' })
  const [first] = requests.json().requests
  const one = await world.operator.inject({ method: 'GET', url: `/operator/requests/${first.id}` })
  expect(one.json()).toEqual(first)
})

function aWanted(id: string) {
  return { type: 'rule', id, value: aRule({ id }) }
}

async function askedOf() {
  const agent = agentOf(world)
  const submitted = await agent.submit(agent.sign())
  return { agent, id: submitted.json().task.id as string }
}

describe('a statement that was rendered before the registry changed', () => {
  const tools = { read: { labels: ['reads_private'] } }
  it.each([
    [
      'another manifest',
      'tool-server',
      'invoices',
      'manifest_changed',
      () => ({
        id: 'invoices',
        url: 'http://localhost:8430/',
        manifest: 'A'.repeat(43),
        tools,
      }),
    ],
    ['other policies', 'policy-set', 'active', 'policy_changed', () => laid('// no more\n')],
    ['another rule', 'rule', 'tasks', 'approval_rule_mismatch', () => aRule({ modes: ['per_action'] })],
  ])('approves nothing: %s', async (_, type, id, code, value) => {
    const asked = await askedOf()
    const { body } = await olga.statement(asked.id)
    const change = await propose([{ type, id, value: value() }])
    expect(await bothApprove(change.body.request_id)).toMatchObject({ applied: true })
    const assertion = olga.passkey.sign(String(body.challenge))
    const { statement_hash } = body
    expect((await olga.post(`/requests/${asked.id}/approve`, { statement_hash, assertion })).body).toMatchObject({
      code,
    })
    await asked.agent.cancel(asked.id)
  })
})

/** Policies as `bailiwick policy propose` puts them into the folder. */
function laid(more: string) {
  const files = new Map([['all.cedar', Buffer.from(`permit(principal, action, resource);\n${more}`)]])
  const set = policySetOf(files)
  storePolicyFiles(paths(world.data).policies(set.hash), files)
  return set
}

describe('a change of the policy set', () => {
  it('shows what the policies say, before and after', async () => {
    const text = 'permit(principal, action, resource);'
    const before = registry().policySet
    const after = laid('// \ufefffrom now on\n')
    const proposed = await propose([{ type: 'policy-set', id: 'active', value: after }])
    const { body } = await olga.get(`/requests/${proposed.body.request_id}`)
    expect(body).toMatchObject({ may_approve: true, unexplained: [] })
    const shown = (body.diff as { text: { before: object | null; after: object | null } }[])[0]?.text
    expect(shown?.after).toEqual({ 'all.cedar': `${text}\n// \ufefffrom now on\n` })
    if (before?.hash === policySetOf(new Map([['all.cedar', Buffer.from(text)]])).hash)
      expect(shown?.before).toEqual({ 'all.cedar': text })
    else expect(Object.keys(shown?.before ?? {})).toEqual(['all.cedar'])
  })

  const files = { 'all.cedar': 'A'.repeat(43) }
  it.each<[string, () => object]>([
    ['that are not stored here', () => ({ id: 'active', hash: 'A'.repeat(43), files })],
    ['whose list of files is of another set', () => ({ ...laid('// listed\n'), files })],
    [
      'that were edited where they lie',
      () => {
        const set = laid('// edited\n')
        writeFileSync(join(paths(world.data).policies(set.hash), 'all.cedar'), 'forbid(principal, action, resource);')
        return set
      },
    ],
    [
      'that are no text',
      () => {
        const bytes = new Map([['all.cedar', Uint8Array.of(0xff, 0xfe)]])
        const set = policySetOf(bytes)
        storePolicyFiles(paths(world.data).policies(set.hash), bytes)
        return set
      },
    ],
  ])('cannot be approved for policies %s (V3)', async (_, value) => {
    const { body } = await propose([{ type: 'policy-set', id: 'active', value: value() }])
    const id = body.request_id as string
    expect((await olga.get(`/requests/${id}`)).body).toMatchObject({
      may_approve: false,
      why_not: 'request_not_inspectable',
      may_deny: true,
      unexplained: [expect.stringContaining('policy-set active')],
    })
    expect((await olga.statement(id)).body).toMatchObject({ code: 'request_not_inspectable' })
    expect((await olga.post(`/requests/${id}/deny`)).status).toBe(200)
  })
})

it('is applied whole or not at all: who signs is there to its end, and counts by the rules that it makes on its way (V3)', async () => {
  await using world = await aWorld({ singleOperator: false })
  const [olga, paul] = [aPerson(world), aPerson(world)]
  await olga.enrol()
  const registry = () => world.issuer.projection.ledger.registry
  const proposed = async (...entities: object[]) => {
    const payload = { proposer: 'carl', entities }
    const url = '/operator/registry/changes'
    const said = await world.operator.inject({ method: 'POST', url, payload })
    return said.json().request_id as string
  }
  const value = approverOf('paul', ['owners'], paul)
  expect((await olga.approve(await proposed({ type: 'approver', id: 'paul', value }))).body).toMatchObject({
    applied: true,
  })
  await paul.signIn()
  const [spare, more] = ['spare', 'more'].map((id) => ({ type: 'rule', id, value: aRule({ id, order: 900_000 }) }))

  const ruled = aRule({ id: 'registry', approvers: { group: 'owners', quorum: 2 } })
  const stricter = await proposed({ type: 'rule', id: 'registry', value: ruled }, spare as object)
  expect((await olga.get(`/requests/${stricter}`)).body).toMatchObject({ rule: { quorum: 2 } })
  expect((await olga.approve(stricter)).body).toMatchObject({ status: 'endorsed' })
  expect((await paul.approve(stricter)).body).toMatchObject({ applied: true })
  await expect.poll(() => registry().get('rule', 'spare')?.id).toBe('spare')
  const laxer = await proposed({
    type: 'rule',
    id: 'registry',
    value: aRule({ ...ruled, approvers: { group: 'owners', quorum: 1 } }),
  })
  for (const person of [olga, paul]) await person.approve(laxer)
  await expect.poll(() => registry().get('rule', 'registry')?.approvers.quorum).toBe(1)

  const leaving = await proposed({ type: 'approver', id: 'paul', value: null }, more as object)
  const refused = { code: 'registry_change_refused', detail: expect.stringContaining('rule more') }
  expect((await olga.approve(leaving)).body).toMatchObject({ status: 'endorsed' })
  expect((await paul.approve(leaving)).body).toMatchObject(refused) // he is gone by the time the rule is made
  expect([registry().get('approver', 'paul')?.id, registry().get('rule', 'more')]).toEqual(['paul', undefined])
  const last = await proposed(more as object, { type: 'approver', id: 'paul', value: null })
  for (const person of [olga, paul]) await person.approve(last)
  await expect.poll(() => registry().get('approver', 'paul')).toBeUndefined()
  expect(registry().get('rule', 'more')?.id).toBe('more')
  // She is the only approver now, and may do only one thing alone.
  expect((await olga.approve(await proposed({ ...(more as object), value: null }))).body).toMatchObject({
    status: 'endorsed',
  })
  const again = await proposed({ type: 'approver', id: 'paul', value: approverOf('paul', ['owners'], paul) })
  expect((await olga.approve(again)).body).toMatchObject({ applied: true })
}, 30_000)
