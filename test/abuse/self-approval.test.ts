import { grantIdOf } from '@bailiwick/approval-statement'
import type { Approver, EntityType, Rule } from '@bailiwick/contracts'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Person } from './person.ts'
import { Scene, unlikely } from './scene.ts'

// No person is trusted alone: these people try to approve what they requested, what they own, or what they were
// admitted to afterwards.

let scene: Scene
let owner: Person
let anna: Person
let carl: Person
let both: readonly Person[]
beforeAll(async () => {
  scene = await Scene.bare({ singleOperator: false })
  owner = new Person(scene.system)
  await owner.enrol()
  anna = new Person(scene.system)
  const credentials = [await anna.newPasskey()]
  // The first person enrols the second alone, and from then on no other person alone.
  expect(await changed([owner], approver('anna', { credentials }))).toBe('applied')
  expect((await anna.signIn()).status).toBe(200)
  both = [owner, anna]
})
afterAll(async () => {
  const { findings } = await scene.audited()
  await scene[Symbol.asyncDispose]()
  expect(unlikely(findings)).toEqual([])
})

interface Change {
  type: EntityType
  id: string
  value: object | null
}

const registry = () => scene.ledger.registry
const approver = (id: string, over: Partial<Approver>): Change => {
  const known = registry().get('approver', id) ?? { id, name: id, groups: [sample.group], credentials: [] }
  return { type: 'approver', id, value: { ...known, ...over } }
}
const rule = (over: Partial<Rule> & { quorum?: number }): Change => {
  const { quorum, ...rest } = over
  const known = registry().get('rule', 'tasks')
  if (!known) throw new Error('there is no rule')
  const approvers = { ...known.approvers, ...(quorum === undefined ? {} : { quorum }) }
  return { type: 'rule', id: 'tasks', value: { ...known, ...rest, approvers } }
}

async function proposed(proposer: string, ...entities: Change[]): Promise<string> {
  const { body } = await scene.operate<{ request_id?: string; code?: string }>('registry/changes', {
    proposer,
    entities,
  })
  return body.request_id ?? body.code ?? ''
}

/** Proposes a change as the operator and has these people approve it, one after the other. Returns the last one's answer. */
async function changed(by: readonly Person[], ...entities: Change[]): Promise<string> {
  const id = await proposed('operator', ...entities)
  let said = ''
  for (const person of by) said = await answered(person, id)
  return said
}

async function answered(by: Person, id: string): Promise<string> {
  const shown = await by.rendered(id).catch((error: Error) => error.message)
  if (typeof shown === 'string') return shown
  const { status, code, body } = await by.approve(id, shown)
  await scene.readToEnds() // the next request is judged by what counts now
  if (status !== 200) return code ?? ''
  const said = body as { status?: string; applied?: boolean; grant?: string }
  return said.applied ? 'applied' : (said.grant ?? said.status ?? '')
}

let serial = 0
const ask = () => scene.asked(scene.agent(), { ...sampleAuthority, task: `alone-${++serial}` })
const grantsOf = async (id: string) => {
  await scene.readToEnds()
  return [...scene.ledger.grants.trees.values()].filter(({ grant }) => grant.request_id === id)
}

it('no person can approve a registry change of their own alone, however it is presented (V3)', async () => {
  const before = registry().records().length
  const eve = new Person(scene.system)
  const puppet = approver('eve', { name: 'Eve', credentials: [await eve.newPasskey()] })
  for (const change of [puppet, rule({ owner_may_approve: false }), approver('anna', { groups: ['visitors'] })]) {
    const id = await proposed('owner', change)
    expect(await answered(owner, id)).toBe('endorsed')
    expect(await answered(owner, id)).toMatch(/^(endorsed|access_request_not_pending)$/) // the same person twice counts once
    expect(registry().records()).toHaveLength(before)
    await anna.post(`requests/${id}/deny`)
  }
  // Hidden behind a change that he may make, or combined with removing the second approver.
  for (const entities of [
    [puppet, { type: 'approver', id: 'anna', value: null }],
    [{ type: 'approver', id: 'anna', value: null }, puppet],
  ] as Change[][]) {
    const id = await proposed('owner', ...entities)
    expect(await answered(owner, id)).not.toBe('applied')
    await anna.post(`requests/${id}/deny`)
  }
  await scene.readToEnds()
  expect(registry().get('approver', 'eve')).toBeUndefined()
  expect(registry().get('approver', 'anna')?.groups).toEqual([sample.group])
})

it('an operator with one passkey changes nothing, for any kind of change and any named proposer (V3)', async () => {
  const before = registry()
    .records()
    .map(({ type, id, version }) => `${type} ${id} ${version}`)
  const value = (type: 'agent' | 'enforcement-point' | 'tool-server' | 'policy-set', over: object): Change => {
    const [known] = registry().all(type)
    if (known === undefined) throw new Error(`there is no ${type}`)
    return { type, id: known.id, value: { ...known, ...over } }
  }
  const changes: Change[] = [
    { type: 'rule', id: 'tasks', value: null },
    rule({ owner_may_approve: true, order: 7 }),
    approver('anna', { groups: [sample.group, 'payments'] }),
    value('enforcement-point', { may_release: true, resources: [{ type: 'tool', id_prefix: 'other/' }] }),
    value('agent', { owner: 'anna' }),
    value('tool-server', { tools: {} }),
  ]
  for (const [n, change] of changes.entries())
    for (const proposer of n === 0 ? ['operator', 'owner', 'anna'] : ['operator']) {
      const id = await proposed(proposer, change)
      expect([change, await answered(owner, id)]).toEqual([change, 'endorsed'])
      expect(await answered(owner, id)).toMatch(/^(endorsed|access_request_not_pending)$/)
      await anna.post(`requests/${id}/deny`)
    }
  await scene.readToEnds()
  expect(
    registry()
      .records()
      .map(({ type, id, version }) => `${type} ${id} ${version}`),
  ).toEqual(before)
})

it('an agent’s owner cannot approve its requests with any passkey where the rule requires another person (V3)', async () => {
  expect(await changed(both, rule({ owner_may_approve: false }))).toBe('applied')
  const id = await ask()
  expect(await answered(owner, id)).toBe('approver_is_owner')
  // Rendered for another person and signed by the owner, in the owner's session and in hers.
  const hers = await anna.rendered(id)
  expect((await owner.approve(id, hers)).code).toBe('statement_unknown')
  expect((await anna.approve(id, hers, owner.passkey)).code).toBe('approver_unknown')
  expect(await grantsOf(id)).toHaveLength(0)
  // Rendered before the rule said so.
  expect(await changed(both, rule({ owner_may_approve: true }))).toBe('applied')
  const early = await owner.rendered(id)
  expect(await changed(both, rule({ owner_may_approve: false }))).toBe('applied')
  expect((await owner.approve(id, early)).code).toBe('approver_is_owner')
  // The owner may always deny, and another person may approve.
  expect(await answered(anna, id)).toBe('active')
  expect(await changed(both, rule({ owner_may_approve: true }))).toBe('applied')
})

it('a grant can be withdrawn by the owner who may not approve it, and by a signer who has left the group (V7)', async () => {
  const leave = (id: string) => approver(id, { groups: ['visitors'] })
  const comeBack = (id: string) => approver(id, { groups: ['visitors', sample.group] })
  const taken = async (by: Person, id: string) => {
    expect(await by.post(`requests/${id}/withdraw`)).toMatchObject({ status: 200, body: { status: 'withdrawn' } })
    const [tree] = await grantsOf(id)
    expect(scene.ledger.revocations.find('grant', tree?.id ?? '')).toBeDefined()
  }
  const [owned, signed] = [await ask(), await ask()]
  for (const id of [owned, signed]) expect(await answered(anna, id)).toBe('active')
  expect(await changed(both, leave('owner'))).toBe('applied')
  await taken(owner, owned)
  // The only remaining member of the group may let a colleague back into it, and change nothing else alone.
  expect(await changed([anna], rule({ order: 7 }))).toBe('endorsed')
  expect(await changed([anna], comeBack('owner'))).toBe('applied')
  expect(await changed(both, leave('anna'))).toBe('applied')
  await taken(anna, signed)
  expect(await changed([owner], comeBack('anna'))).toBe('applied')
})

it('a person with two passkeys counts as one person, in one statement or in two (V10)', async () => {
  const more = await anna.newPasskey()
  const { credentials } = registry().get('approver', 'anna') as Approver
  const newest = anna.passkey
  const [first, second] = [credentials[0]?.credential_id ?? '', more.credential_id]
  const using = (id: string) => ({ sign: (challenge: Uint8Array) => newest.sign(challenge, id) })
  // No approver alone can give her another passkey under any proposer's name: the passkey could be the approver's own.
  const hers = await proposed('anna', approver('anna', { credentials: [...credentials, more] }))
  expect(await answered(owner, hers)).toBe('endorsed')
  expect((await anna.approve(hers, await anna.rendered(hers), using(first))).body).toMatchObject({ applied: true })
  expect(await changed(both, rule({ quorum: 2 }))).toBe('applied')
  const request = await ask()
  const shown = await anna.rendered(request)
  expect((await anna.approve(request, shown, using(first))).body).toMatchObject({ status: 'endorsed', endorsements: 1 })
  const again = await anna.rendered(request)
  expect(again.statement_hash).toBe(shown.statement_hash)
  const answer = await anna.approve(request, again, using(second))
  expect(answer.body).toMatchObject({ status: 'endorsed', endorsements: 1 })
  expect(await grantsOf(request)).toHaveLength(0)
  // The same with a stolen approval service, which puts both signatures into one approval.
  const challenge = Buffer.from(shown.challenge, 'base64url')
  const assertions = [newest.sign(challenge, first), newest.sign(challenge, second)]
  const { statement, statement_hash } = shown
  const record = scene.ledger.requests.requests.get(request)
  const data = { request_id: request, statement, statement_hash, assertions }
  const forged = { type: 'request.approved', subject: request, version: (record?.version ?? 0) + 1, data }
  await scene.forge('approvals.v1', forged, scene.stolenKey('approval'))
  await expect.poll(() => scene.ledger.grants.refused.has(grantIdOf(statement_hash))).toBe(true)
  expect(await grantsOf(request)).toHaveLength(0)
})

it('an approver who joins the group after the endorsement cannot complete that statement (V3)', async () => {
  const request = await ask()
  expect(await answered(anna, request)).toBe('endorsed')
  const { statement_hash } = await owner.rendered(request)
  expect(await changed(both, approver('owner', { groups: ['others', sample.group] }))).toBe('applied')
  carl = new Person(scene.system)
  const change = approver('carl', { name: 'Carl', credentials: [await carl.newPasskey()] })
  const third = await proposed('owner', change)
  expect([await answered(anna, third), await answered(owner, third)]).toEqual(['endorsed', 'applied'])
  expect((await carl.signIn()).status).toBe(200)
  // The group has changed: Anna's signature names the old group, so everyone signs again.
  const shown = await carl.rendered(request)
  expect(shown.statement_hash).not.toBe(statement_hash)
  expect((await carl.approve(request, shown)).body).toMatchObject({ status: 'endorsed', endorsements: 1 })
  expect(await grantsOf(request)).toHaveLength(0)
  expect(await answered(anna, request)).toBe('active')
})

it('an approver who leaves the group between endorsement and quorum no longer counts (V3)', async () => {
  const request = await ask()
  expect(await answered(anna, request)).toBe('endorsed')
  const late = await owner.rendered(request)
  expect(await changed([carl, owner], approver('anna', { groups: ['visitors'] }))).toBe('applied')
  expect((await owner.approve(request, late)).code).toBe('approver_group_changed')
  expect(await answered(anna, request)).toBe('approver_not_in_group')
  expect(await answered(owner, request)).toBe('endorsed') // and it is the first of two again
  expect(await grantsOf(request)).toHaveLength(0)
  // Retired altogether: the session ends with the person.
  expect(await changed([carl, owner], { type: 'approver', id: 'anna', value: null })).toBe('applied')
  expect((await anna.post(`requests/${request}/deny`)).code).toBe('caller_unauthenticated')
  expect((await anna.signIn()).code).toBe('approver_unknown')
})
