import type { Approver, Authorization, Entity, ServiceKey } from '@bailiwick/contracts'
import { generateKey, type Invitation, jcsHash, signInvitation } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { agent, anApprover, aPasskey, aRule, byId, iso, now, type TestPasskey, trust } from './samples.test-data.ts'
import { statementHash } from './statement-hash.ts'
import {
  anchor,
  anna,
  ben,
  byApprovers,
  byRoot,
  type Change,
  carl,
  change,
  changedRule,
  genesis,
  governed,
  invitationKey,
  keys,
  living,
  no,
  type Over,
  ok,
  retiredRule,
  rule,
  singleOperator,
  verify,
} from './verify-authorization.fixture.ts'

it('takes from the root what genesis holds, and nothing once an approver was enrolled (V3)', async () => {
  for (const first of [rule, change('agent', agent)]) {
    expect(await verify(first, byRoot(first), { registry: genesis })).toEqual(ok)
    expect(await verify(first, byRoot(first))).toEqual(no('root: genesis is over'))
  }
  const everyoneLeft = { ...genesis, enrolled: true }
  expect(await verify(rule, byRoot(rule), { registry: everyoneLeft })).toEqual(no('root: genesis is over'))
  expect(await verify(changedRule, byRoot(changedRule), { registry: genesis })).toEqual(no('root: genesis is over'))
  const anyApprover = change('approver', anna)
  expect(await verify(anyApprover, byRoot(anyApprover), { registry: genesis })).toEqual(
    no('root: approvers come by the invitation or by approvers'),
  )
})

it('takes service keys from the root for ever, so that they rotate', async () => {
  const key = { id: jcsHash('key'), service: 'issuer' } as Entity<'service-key'>
  const registry = { ...living, serviceKeys: new Map([[key.id, key]]) }
  for (const [version, before] of [
    [1, undefined],
    [2, jcsHash('old')],
  ] as const) {
    const rotated = change('service-key', key, { version, before })
    expect(await verify(rotated, byRoot(rotated), { registry })).toEqual(ok)
  }
})

const keyIn = (state?: ServiceKey['state']) =>
  ({ id: jcsHash('key'), service: 'issuer', ...(state ? { state } : {}) }) as ServiceKey
const moved = (from: ServiceKey, to: ServiceKey | undefined, over: Over = {}) => ({
  ...change('service-key', from, { version: 2, before: jcsHash(from), ...over }),
  value: to,
  after: to && jcsHash(to),
})
const having = (key: ServiceKey) => ({ registry: { ...living, serviceKeys: new Map([[key.id, key]]) } })
const byIssuer: Authorization = { kind: 'issuer' }

it.each([
  ['prepared', 'active'],
  ['prepared', 'tainted'],
  ['active', 'tainted'],
  [undefined, 'tainted'],
  ['prepared', undefined],
  ['active', undefined],
  ['tainted', undefined],
] as const)('takes the issuer’s word that a key which was %s is %s', async (from, to) => {
  const known = keyIn(from)
  expect(await verify(moved(known, to && keyIn(to)) as Change, byIssuer, having(known))).toEqual(ok)
})

it.each([
  ['active', 'prepared'],
  ['tainted', 'active'],
  ['tainted', 'prepared'],
] as const)('no signer leads a key back that was %s and would be %s (V12)', async (from, to) => {
  const known = keyIn(from)
  const back = moved(known, keyIn(to)) as Change
  for (const by of [byIssuer, byRoot(back), byApprovers([back])])
    expect(await verify(back, by, having(known))).toEqual(no('value: a key does not go back'))
})

it('no signer brings back a key that was revoked (V12)', async () => {
  const back = change('service-key', keyIn('prepared'), { version: 3 })
  for (const by of [byIssuer, byRoot(back)]) expect(await verify(back, by)).toEqual(no('value: a key that was revoked'))
})

it('the issuer makes no key, changes nothing else of one, moves nothing but keys, and not at another time (V3)', async () => {
  const known = keyIn('prepared')
  const made = change('service-key', known)
  expect(await verify(made, byIssuer)).toEqual(no('issuer: a key that is not there'))
  const wider = moved(known, { ...keyIn('active'), topics: ['registry.v1'] }) as Change
  expect(await verify(wider, byIssuer, having(known))).toEqual(no('issuer: it changes more than where the key stands'))
  expect(await verify(rule, byIssuer)).toEqual(no('issuer: it moves keys, and nothing else'))
  for (const takenAt of [now - 60_001, now + 60_001, Number.NaN])
    expect(await verify(moved(known, undefined) as Change, byIssuer, { ...having(known), takenAt })).toEqual(
      no('issuer: said at another time'),
    )
})

it.each<[string, object]>([
  ['another entity', { entity_id: 'lax' }],
  ['another type', { entity_type: 'agent' }],
  ['another version', { version: 2 }],
  ['another content', { after: jcsHash('lax') }],
])('takes no signature of the root over %s (V3)', async (_, over) => {
  expect(await verify(rule, byRoot(rule, over), { registry: genesis })).toEqual(no('root: signed another change'))
})

it('takes no genesis of another installation or another key, nor an invitation for one (V12)', async () => {
  const registry = genesis
  const foreign = byRoot(rule, { installation: 'ins_9876543210' })
  expect(await verify(rule, foreign, { registry })).toMatchObject({ code: 'token_audience_wrong' })
  expect(await verify(rule, byRoot(rule, {}, generateKey('root')), { registry })).toMatchObject({ ok: false })
  const invited = { kind: 'root', jws: invite(anna).jws } as const
  expect(await verify(rule, invited, { registry })).toMatchObject({ ok: false })
  expect(
    await verify(change('approver', anna), { kind: 'invitation', jws: byRoot(rule).jws }, { registry }),
  ).toMatchObject({
    ok: false,
  })
})

function invite(approver: Approver, over: Partial<Invitation> = {}) {
  const { credential_id = '', public_key = '' } = approver.credentials[0] ?? {}
  const { id: approver_id, name, groups } = approver
  const { installation } = trust
  const signed = { installation, credential_id, public_key, approver_id, name, groups, ...over }
  return { kind: 'invitation', jws: signInvitation(signed, invitationKey) } as const
}

it('enrols by the invitation the first approver, once (V10)', async () => {
  const first = change('approver', anna)
  expect(await verify(first, invite(anna), { registry: genesis })).toEqual(ok)
  const used = { ok: false, code: 'invitation_invalid', detail: 'used' }
  const second = change('approver', ben)
  expect(await verify(second, invite(ben), { registry: { ...living, approvers: byId(anna) } })).toEqual(used)
  expect(await verify(second, invite(ben), { registry: { ...genesis, enrolled: true } })).toEqual(used)
})

it.each<[string, Partial<Invitation>]>([
  ['another passkey', { credential_id: keys.ben.record.credential_id }],
  ['another public key', { public_key: keys.ben.record.public_key }],
  ['another person', { approver_id: 'ben' }],
  ['another name', { name: 'Ben' }],
  ['other groups', { groups: ['registry', 'finance'] }],
])('takes no invitation that was accepted for %s (V3)', async (_, over) => {
  expect(await verify(change('approver', anna), invite(anna, over), { registry: genesis })).toMatchObject({
    code: 'invitation_invalid',
  })
})

it('lets the invitation do nothing else', async () => {
  const registry = genesis
  const refused = no('invitation: first approver only')
  expect(await verify(rule, invite(anna), { registry })).toEqual(refused)
  const later = change('approver', anna, { version: 2 })
  expect(await verify(later, invite(anna), { registry })).toEqual(refused)
  const two = anApprover('anna', ['registry'], keys.anna, aPasskey())
  expect(await verify(change('approver', two), invite(two), { registry })).toMatchObject({ code: 'invitation_invalid' })
  const foreign = invite(anna, { installation: 'ins_9876543210' })
  expect(await verify(change('approver', anna), foreign, { registry })).toMatchObject({ code: 'token_audience_wrong' })
})

it('takes every change that approvers signed: first, next and last versions (V3)', async () => {
  for (const one of [rule, changedRule, retiredRule]) expect(await verify(one, byApprovers([one]))).toEqual(ok)
  const dora = change('approver', anApprover('dora', [], aPasskey()))
  expect(await verify(dora, byApprovers([dora], [keys.anna, keys.ben]))).toEqual(ok)
  const agentToo = change('agent', agent)
  const both = byApprovers([rule, agentToo])
  expect(await verify(rule, both)).toEqual(ok)
  expect(await verify(agentToo, both)).toEqual(ok)
})

it.each<[string, Change]>([
  ['content', change('rule', aRule({ order: 1 }))],
  ['version', { ...rule, version: 2 }],
  ['predecessor', { ...changedRule, version: 3, before: jcsHash('other') }],
  ['entity', change('rule', aRule({ id: 'other' }))],
  ['end', { ...retiredRule, version: 3 }],
  ['name of what ends', { ...retiredRule, version: 4, entity: { type: 'rule', id: 'other' } }],
  ['type', { ...rule, entity: { type: 'agent', id: rule.entity.id } }],
])('takes no signature over another %s than the event has (V3)', async (_, event) => {
  expect(
    await verify(event, byApprovers([rule, { ...changedRule, version: 3 }, { ...retiredRule, version: 4 }])),
  ).toEqual(no('approvers: signed another change'))
})

it.each<[string, Authorization, string]>([
  ['no enrolled approver signed', byApprovers([rule], [aPasskey()]), 'approver_unknown'],
  [
    'it is for another installation',
    byApprovers([rule], [keys.anna], { installation: 'ins_9876543210' }),
    'statement_unknown',
  ],
  ['it expired', byApprovers([rule], undefined, { not_after: iso(now) }), 'statement_unknown'],
  ['it is from the future', byApprovers([rule], undefined, { now: now + 6000 }), 'statement_unknown'],
  ['one person signed', byApprovers([rule], [keys.anna]), 'approval_quorum_missing'],
  ['one person signed twice', byApprovers([rule], [keys.anna, keys.anna]), 'approval_quorum_missing'],
  [
    'a signature is over another statement',
    { ...byApprovers([rule]), assertions: byApprovers([changedRule]).assertions },
    'assertion_invalid',
  ],
])('refuses a change when %s (V3)', async (_, authorization, code) => {
  expect(await verify(rule, authorization)).toMatchObject({ ok: false, code })
})

it('lets a change that was begun in time be ended however late, and no other (V3)', async () => {
  const both = byApprovers([rule, change('agent', agent)], undefined, { not_after: iso(now) })
  const begun = (by: typeof both) => ({ ...living, begun: statementHash(by.statement) })
  const expired = { ok: false, code: 'statement_unknown', detail: 'expired' }
  expect(await verify(rule, both)).toEqual(expired)
  for (const late of [now, now + 30 * 24 * 3_600_000])
    expect(await verify(rule, both, { registry: begun(both), at: late })).toEqual(ok)
  const again = byApprovers([rule, change('agent', agent)], undefined, { not_after: iso(now), nonce: 'B'.repeat(22) })
  expect(await verify(rule, again, { registry: begun(both) })).toEqual(expired)
  const left = { ...begun(both), approvers: byId(ben, carl, anApprover('dora', [], aPasskey())) }
  expect(await verify(rule, both, { registry: left })).toMatchObject({ code: 'approver_unknown' })
})

it('lets the proposer count beside another person, and alone where one person runs everything', async () => {
  const proposed = byApprovers([rule], [keys.anna, keys.ben], { proposer: 'anna' })
  expect(await verify(rule, proposed)).toEqual(ok)
  const alone = byApprovers([rule], [keys.anna], { proposer: 'anna' })
  expect(await verify(rule, alone, { anchor: singleOperator })).toEqual(ok)
})

it('requires two signers for a change of any kind: the proposer’s name alone counts for nothing (V3)', async () => {
  const missing = { code: 'approval_quorum_missing', detail: '1 of 2' }
  const kinds = [
    rule,
    changedRule,
    retiredRule,
    change('agent', agent),
    change('approver', ben, { version: 2, before: jcsHash(ben) }),
  ]
  for (const one of kinds)
    for (const proposer of ['operator', 'ben', 'anna'])
      expect(await verify(one, byApprovers([one], [keys.anna], { proposer }))).toMatchObject(missing)
})

/** What people signed before changes took two people. */
function ofOld(changes: Change[], by: TestPasskey[], proposer = 'olga') {
  const { statement } = byApprovers(changes, by, { proposer })
  const old = { ...statement, v: 1 as const }
  return { kind: 'approvers', statement: old, assertions: by.map((passkey) => passkey.sign(old)) } as const
}

it('takes what one person signed before changes took two, and never after the first that did (V3)', async () => {
  const old = ofOld([rule], [keys.anna])
  expect(await verify(rule, old)).toEqual(ok)
  expect(await verify(rule, ofOld([rule], [keys.anna], 'anna'))).toEqual(no('approvers: only the proposer'))
  const dora = change('approver', anApprover('dora', [], aPasskey()))
  expect(await verify(dora, ofOld([dora], [keys.anna]))).toMatchObject({ detail: '1 of 2' })
  const downgrade = { code: 'statement_unknown', detail: 'v: changes take two people by now' }
  for (const late of [old, ofOld([rule], [keys.anna, keys.ben])])
    expect(await verify(rule, late, { registry: { ...living, takesTwo: true } })).toMatchObject(downgrade)
})

it('takes no statement of the older version where the installation was made by a version that knows it better (V3)', async () => {
  // The only approver, plus a mere name: a stolen approval service can render any proposer.
  const sole = { ...living, approvers: byId(anna) }
  const made = { ...anchor, trust: { ...anchor.trust, genesis: { count: 1, sha256: jcsHash('genesis') } } }
  const old = ofOld([rule], [keys.anna])
  expect(await verify(rule, old, { registry: sole })).toEqual(ok)
  const first = [{ type: 'rule' as const, id: 'first', version: 1, after: jcsHash('rule') }]
  const newer = { registry: { ...sole, first }, anchor: made }
  expect(await verify(rule, old, newer)).toMatchObject({ code: 'statement_unknown' })
  expect(await verify(rule, byApprovers([rule], [keys.anna]), newer)).toMatchObject({
    code: 'approval_quorum_missing',
  })
})

it('lets the only one in the group of the rule registry bring a colleague into it, and do nothing else alone (V3)', async () => {
  const rules = byId(aRule({ id: 'registry', approvers: { group: 'registry', quorum: 1 } }))
  const registry = { ...living, rules, approvers: byId(anna, carl) }
  const move = (over: Partial<Approver>) =>
    change('approver', { ...carl, ...over }, { version: 2, before: jcsHash(carl) })
  const comes = move({ groups: ['finance', 'registry'] })
  expect(await verify(comes, byApprovers([comes], [keys.anna]), { registry })).toEqual(ok)
  const missing = { code: 'approval_quorum_missing' }
  for (const one of [
    rule,
    move({ groups: ['finance', 'registry', 'payments'] }),
    move({ groups: ['registry'] }),
    move({ groups: ['finance', 'registry'], credentials: [aPasskey().record] }),
    move({ groups: ['finance', 'registry'], name: 'Dora' }),
    move({ groups: [] }),
    change('approver', anApprover('dora', ['registry'], aPasskey())),
  ])
    expect(await verify(one, byApprovers([one], [keys.anna]), { registry })).toMatchObject(missing)
  expect(await verify(comes, byApprovers([comes, rule], [keys.anna]), { registry })).toMatchObject(missing)
  // With two people in the group, the change takes both.
  const two = { ...registry, approvers: byId(anna, carl, anApprover('dora', ['registry'], aPasskey())) }
  expect(await verify(comes, byApprovers([comes], [keys.anna]), { registry: two })).toMatchObject(missing)
})

it('asks the registry rule, where there is one, who and how many', async () => {
  expect(await verify(rule, byApprovers([rule]), { registry: governed })).toEqual(ok)
  expect(await verify(rule, byApprovers([rule], [keys.carl]), { registry: governed })).toMatchObject({
    code: 'approver_not_in_group',
  })
  const rules = byId(aRule({ id: 'registry', approvers: { group: 'registry', quorum: 2 } }))
  const registry = { ...living, rules }
  expect(await verify(rule, byApprovers([rule], [keys.anna, keys.anna]), { registry })).toMatchObject({
    code: 'approval_quorum_missing',
  })
  expect(await verify(rule, byApprovers([rule], [keys.anna, keys.ben]), { registry })).toEqual(ok)
})

it.each<[string, Change, string]>([
  ['the hash is not the value', { ...rule, after: jcsHash('x') }, 'after: not the hash of the value'],
  ['the hash is missing', { ...rule, after: undefined }, 'after: not the hash of the value'],
  ['the value has another id', { ...rule, entity: { type: 'rule', id: 'x' } }, 'value: another id than the entity'],
  ['nothing is left, yet hashed', { ...retiredRule, after: jcsHash('x') }, 'after: of nothing'],
  ['there is nothing to retire', { ...retiredRule, before: undefined }, 'nothing to retire'],
  ['a first version replaces something', { ...changedRule, version: 1 }, 'version 1 of something that is there'],
])('refuses a change, even if approvers or the root key signed it, when %s', async (_, event, detail) => {
  expect(await verify(event, byApprovers([event]))).toEqual(no(detail))
  expect(await verify(event, byRoot(event), { registry: genesis })).toEqual(no(detail))
})

it('gives no passkey a second name (V10)', async () => {
  const twin = change('approver', anApprover('twin', ['registry'], keys.anna))
  expect(await verify(twin, byApprovers([twin], [keys.ben]))).toEqual(no('value: a passkey of another approver'))
  const renamed = { ...keys.anna.record, credential_id: 'AAAA' }
  const disguised = change('approver', { ...anApprover('twin', ['registry']), credentials: [renamed] })
  expect(await verify(disguised, byApprovers([disguised], [keys.ben, keys.carl]))).toEqual(
    no('value: a passkey of another approver'),
  )
  const more = anApprover('anna', ['registry'], keys.anna, aPasskey())
  const next = change('approver', more, { version: 2, before: jcsHash(anna) })
  expect(await verify(next, byApprovers([next], [keys.anna, keys.ben]))).toEqual(ok)
})

it('answers a value that cannot be hashed', async () => {
  const hostile = { ...rule, value: aRule({ id: 'finance', match: { agents: ['\ud800'] } }) }
  expect(await verify(hostile, byApprovers([rule]))).toEqual(no('after: not the hash of the value'))
})

it('lets the first approver enrol the second alone, even if the rule asks for two, and do nothing else alone (V3)', async () => {
  const first = { ...living, approvers: byId(anna) }
  const second = change('approver', ben)
  const alone = (of: Change, ...more: Change[]) => byApprovers([of, ...more], [keys.anna], { proposer: 'anna' })
  expect(await verify(second, alone(second), { registry: first })).toEqual(ok)
  const rules = byId(aRule({ id: 'registry', approvers: { group: 'registry', quorum: 2 } }))
  expect(await verify(second, alone(second), { registry: { ...first, rules } })).toEqual(ok)
  const tooFew = { code: 'approval_quorum_missing', detail: '1 of 2' }
  expect(await verify(rule, alone(rule), { registry: first })).toMatchObject(tooFew)
  // Smuggled in together with the second approver, or after there are two.
  expect(await verify(rule, alone(second, rule), { registry: first })).toMatchObject(tooFew)
  expect(await verify(second, alone(second, rule), { registry: first })).toMatchObject(tooFew)
  expect(await verify(second, alone(second), { registry: { ...living, approvers: byId(anna, carl) } })).toMatchObject({
    code: 'approval_quorum_missing',
  })
  const more = change('approver', anApprover('anna', ['registry'], keys.anna, aPasskey()), {
    version: 2,
    before: jcsHash(anna),
  })
  expect(await verify(more, alone(more), { registry: first })).toMatchObject(tooFew)
  // A newly admitted approver still needs the group's passkey.
  const governors = byId(aRule({ id: 'registry', approvers: { group: 'governors', quorum: 1 } }))
  expect(await verify(second, alone(second), { registry: { ...first, rules: governors } })).toMatchObject({
    code: 'approver_not_in_group',
  })
})

it('requires two people for a new passkey once there are two, whichever of them proposes it: no one becomes two people alone (V3)', async () => {
  const next = (of: Approver, ...passkeys: TestPasskey[]) => {
    const credentials = passkeys.map(({ record }) => record)
    return change('approver', { ...of, credentials }, { version: 2, before: jcsHash(of) })
  }
  const another = aPasskey()
  const registry = { ...living, approvers: byId(anna, ben) }
  const missing = { code: 'approval_quorum_missing', detail: '1 of 2' }
  for (const brings of [
    change('approver', anApprover('vera', ['finance'], another)),
    next(ben, keys.ben, another),
    next(ben, { ...another, record: { ...another.record, credential_id: keys.ben.record.credential_id } }),
  ]) {
    // Proposed by another person, such as the one who made the link: one signature is still one person's.
    expect(await verify(brings, byApprovers([brings], [keys.anna]), { registry })).toMatchObject(missing)
    expect(await verify(brings, byApprovers([brings, rule], [keys.anna]), { registry })).toMatchObject(missing)
    expect(await verify(brings, byApprovers([brings], [keys.anna, keys.anna]), { registry })).toMatchObject(missing)
    const both = byApprovers([brings], [keys.anna, keys.ben], { proposer: 'anna' })
    expect(await verify(brings, both, { registry })).toEqual(ok)
    const alone = byApprovers([brings], [keys.anna])
    expect(await verify(brings, alone, { registry, anchor: singleOperator })).toEqual(ok)
  }
  const two = anApprover('ben', ['finance'], keys.ben, another)
  const fewer = next(two, keys.ben)
  const both = { ...living, approvers: byId(anna, two) }
  expect(await verify(fewer, byApprovers([fewer]), { registry: both })).toEqual(ok)
})

it('lets any one approver object to a recovery, the proposer too, and do nothing else by it (V3)', async () => {
  const retired = (id: string): Change => ({ ...retiredRule, entity: { type: 'recovery', id } })
  const [one, two] = [retired('rcv-1'), retired('rcv-2')]
  const strict = { ...living, rules: byId(aRule({ id: 'registry', approvers: { group: 'registry', quorum: 2 } })) }
  const objects = (...of: Change[]) => byApprovers(of, [keys.carl], { proposer: 'carl' }) // carl is in another group
  for (const registry of [living, strict, { ...living, approvers: byId(carl) }]) {
    expect(await verify(one, objects(one), { registry })).toEqual(ok)
    expect(await verify(two, objects(one, two), { registry })).toEqual(ok)
    for (const [of, statement] of [
      [one, objects(one, rule)],
      [rule, objects(one, rule)],
      [changedRule, objects(changedRule)],
    ] as const)
      expect(await verify(of, statement, { registry })).toMatchObject({ ok: false })
    expect(await verify(one, byApprovers([one], [aPasskey()]), { registry })).toMatchObject({
      code: 'approver_unknown',
    })
  }
})

it('keeps the last approver and the last passkey, even if a quorum signed their removal (V3)', async () => {
  const end = (of: Approver) => ({ ...change('approver', of, { version: 2, before: jcsHash(of) }), ...nothing })
  const nothing = { value: undefined, after: undefined }
  const last = { ...living, approvers: byId(anna) }
  const retired = end(anna)
  expect(
    await verify(retired, byApprovers([retired], [keys.anna]), { registry: last, anchor: singleOperator }),
  ).toEqual(no('retires the last approver'))
  expect(await verify(retired, byApprovers([retired], [keys.ben, keys.carl]))).toEqual(ok)
  const bare = change('approver', { ...anna, credentials: [] }, { version: 2, before: jcsHash(anna) })
  expect(await verify(bare, byApprovers([bare], [keys.ben]))).toEqual(no('value: an approver without a passkey'))
})
