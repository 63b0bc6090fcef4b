import type { Approver, Rule, ToolServer } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { ofOlderLogs } from './must-show.ts'
import {
  agent,
  anApprover,
  aPasskey,
  aRule,
  aStatement,
  authority,
  byId,
  iso,
  now,
  type TestPasskey,
  trust,
} from './samples.test-data.ts'
import { type ApprovalCheck, verifyApproval } from './verify-approval.ts'

const keys = { anna: aPasskey(), annasPhone: aPasskey(), ben: aPasskey(), carl: aPasskey(), olga: aPasskey() }
const anna = anApprover('anna', ['finance'], keys.anna, keys.annasPhone)
const ben = anApprover('ben', ['finance'], keys.ben)
const carl = anApprover('carl', ['other'], keys.carl)
const olga = anApprover('olga', ['finance'], keys.olga)
const approvers = [anna, ben, carl, olga]

type Over = Partial<ApprovalCheck> & {
  rule?: Rule
  facts?: Partial<Parameters<typeof aStatement>[0]>
  /** The approvers enrolled at the time of reading. */
  enrolled?: Approver[]
  by?: TestPasskey[]
}

function verify({ rule = aRule(), facts = {}, enrolled = approvers, by = [keys.anna], ...over }: Over = {}) {
  const statement = aStatement({ approvers, rule, ...facts })
  return verifyApproval({
    statement,
    assertions: by.map((passkey) => passkey.sign(statement)),
    registry: registryOf(enrolled, rule),
    trust,
    at: now + 1000,
    ...over,
  })
}

const registryOf = (enrolled: Approver[], ...rules: Rule[]) => ({
  approvers: byId(...enrolled),
  rules: byId(...rules),
  agents: byId(agent),
  toolServers: byId<ToolServer>(),
})

const two = aRule({ approvers: { group: 'finance', quorum: 2 } })

it('counts the people who approved (V3)', async () => {
  expect(await verify()).toEqual({ ok: true, approverIds: ['anna'] })
  expect(await verify({ rule: two, by: [keys.ben, keys.anna] })).toEqual({ ok: true, approverIds: ['anna', 'ben'] })
})

it('counts a person once, however often and with however many passkeys they sign (V10)', async () => {
  const missing = { ok: false, code: 'approval_quorum_missing', detail: '1 of 2' }
  expect(await verify({ rule: two })).toEqual(missing)
  expect(await verify({ rule: two, by: [keys.anna, keys.anna] })).toEqual(missing)
  expect(await verify({ rule: two, by: [keys.anna, keys.annasPhone] })).toEqual(missing)
  expect(await verify({ rule: two, by: [] })).toMatchObject({ code: 'approval_quorum_missing', detail: '0 of 2' })
})

it('takes a passkey that two approvers hold for neither of them (V10)', async () => {
  const twin = anApprover('twin', ['finance'], keys.anna)
  const verdict = await verify({
    facts: { approvers: [...approvers, twin] },
    enrolled: [...approvers, twin],
    rule: two,
  })
  expect(verdict).toMatchObject({ ok: false, code: 'approver_unknown' })
})

it.each<[string, Over, string]>([
  ['no enrolled approver signed', { by: [aPasskey()] }, 'approver_unknown'],
  ['one of several signers is not in the group', { by: [keys.anna, keys.carl] }, 'approver_not_in_group'],
  ['the owner of the agent signed', { by: [keys.olga] }, 'approver_is_owner'],
  ['the owner is one of the quorum', { rule: two, by: [keys.anna, keys.olga] }, 'approver_is_owner'],
  ['a signer was removed since', { enrolled: [ben, carl, olga] }, 'approver_group_changed'],
  [
    'another approver joined the group since',
    { enrolled: [...approvers, anApprover('dora', ['finance'], aPasskey())] },
    'approver_group_changed',
  ],
  [
    'a passkey was added since',
    { enrolled: [anna, carl, olga, anApprover('ben', ['finance'], keys.ben, aPasskey())] },
    'approver_group_changed',
  ],
  ['it was signed for another installation', { facts: { installation: 'ins_9876543210' } }, 'statement_unknown'],
  ['it expired', { at: now + 1800_000 }, 'statement_unknown'],
  ['it is from the future', { at: now - 6000 }, 'statement_unknown'],
  ['no time is given', { at: Number.NaN }, 'statement_unknown'],
  [
    'the window is longer than the rule allows',
    { facts: { not_after: iso(now + 3_601_000) } },
    'approval_rule_mismatch',
  ],
  ['the window ends before it starts', { facts: { not_before: iso(now + 1900_000) } }, 'approval_rule_mismatch'],
  [
    'the window starts late and outlives what readers remember',
    { facts: { not_before: iso(now + 28_800_000), not_after: iso(now + 28_801_000) } },
    'approval_rule_mismatch',
  ],
  [
    'the rule does not allow the mode',
    { facts: { mode: 'continuous', continuous: { reattest_seconds: 1, outcome_seconds: 1 } } },
    'approval_rule_mismatch',
  ],
  ['the agent is another', { facts: { agent: 'spiffe://acme.example/agent/other/one' } }, 'agent_unknown'],
  ["the agent's name only begins alike", { facts: { agent: 'spiffe://acme.example/agent/ledg/one' } }, 'agent_unknown'],
  ['the rule wants closed permissions', { rule: aRule({ closed_permissions: true }) }, 'approval_rule_mismatch'],
  [
    'the rule wants delegates to be listed',
    {
      rule: aRule({ listed_delegates: true }),
      facts: { authority: { ...authority, max_depth: 1, max_children: 1 } },
    },
    'approval_rule_mismatch',
  ],
  ['there is no rule', { registry: registryOf(approvers) }, 'approval_rule_missing'],
  [
    'the authority has an unknown member',
    { facts: { authority: { ...authority, unless: 'x' } } },
    'authority_not_understood',
  ],
  ['the authority is none', { facts: { authority: { ...authority, permissions: [] } } }, 'authority_malformed'],
])('refuses when %s (V3)', async (_, over, code) => {
  expect(await verify(over)).toMatchObject({ ok: false, code })
})

it('lets the owner approve where the rule says so, or one person runs everything', async () => {
  const by = [keys.olga]
  expect(await verify({ by, rule: aRule({ owner_may_approve: true }) })).toMatchObject({ ok: true })
  expect(await verify({ by, trust: { ...trust, single_operator: true } })).toMatchObject({ ok: true })
})

it('believes no rule that the statement names, but finds the one that holds (V3)', async () => {
  const lax = aRule({ id: 'lax', order: 99, approvers: { group: 'other', quorum: 1 } })
  const statement = aStatement({ approvers, rule: lax })
  const assertions = [keys.carl.sign(statement)]
  const registry = registryOf(approvers, lax, two)
  const verdict = await verifyApproval({ statement, assertions, registry, trust, at: now })
  expect(verdict).toMatchObject({ ok: false, code: 'approval_rule_mismatch', detail: 'rule.id: another rule holds' })
})

it('refuses a rule whose quorum or group changed since (V3)', async () => {
  for (const rule of [two, aRule({ approvers: { group: 'other', quorum: 1 } })]) {
    const registry = registryOf(approvers, rule)
    expect(await verify({ registry })).toMatchObject({ code: 'approval_rule_mismatch', detail: 'rule: changed since' })
  }
})

it('refuses a mode with the members of another, however it was signed', async () => {
  const statement = aStatement({ approvers })
  for (const over of [{ action_digest: jcsHash('action') }, { mode: 'per_action' as const }]) {
    const mixed = { ...statement, ...over }
    const verdict = await verify({ statement: mixed, assertions: [keys.anna.sign(mixed)] })
    expect(verdict).toMatchObject({ code: 'approval_rule_mismatch', detail: expect.stringContaining('action_digest') })
  }
})

it('asks for all that the rule wants fresh, and lets a statement want more (V3)', async () => {
  const fresh = { reattest_seconds: 600, outcome_seconds: 30 }
  const rule = aRule({ modes: ['continuous'], continuous: fresh })
  const of = (continuous: typeof fresh, over: Over = {}) =>
    verify({ rule, facts: { mode: 'continuous', continuous }, ...over })
  const detail = 'continuous: less than the rule asks for'
  expect(await of(fresh)).toMatchObject({ ok: true })
  expect(await of({ reattest_seconds: 60, outcome_seconds: 30 })).toMatchObject({ ok: true })
  expect(await of({ ...fresh, reattest_seconds: 601 })).toMatchObject({ code: 'approval_rule_mismatch', detail })
  expect(await of({ ...fresh, outcome_seconds: 31 })).toMatchObject({ code: 'approval_rule_mismatch', detail })
  const silent = aRule({ modes: ['continuous'] })
  expect(await of(fresh, { rule: silent })).toMatchObject({ code: 'approval_rule_mismatch' })
})

it('takes no signature over another statement, even of the same person (V3)', async () => {
  const statement = aStatement({ approvers })
  const other = aStatement({ approvers, authority: { ...authority, budget: { calls: 2000 } } })
  expect(await verify({ assertions: [keys.anna.sign(other)] })).toMatchObject({ code: 'assertion_invalid' })
  expect(await verify({ assertions: [keys.anna.sign(statement)] })).toMatchObject({ ok: true })
})

it('refuses the whole approval when one of its signatures does not verify', async () => {
  const statement = aStatement({ approvers })
  const assertions = [keys.anna.sign(statement), keys.ben.sign(statement, { flags: 0x19 })]
  expect(await verify({ assertions })).toMatchObject({ ok: false, code: 'assertion_invalid' })
})

it('judges separation of duties by who owned the agent in the registry that it is judged by (V3)', async () => {
  const ownedBy = (owner: string) => ({
    registry: { ...registryOf(approvers, aRule()), agents: byId({ ...agent, owner }) },
  })
  // An approver who became the agent's owner afterwards approved another person's agent; one who gave it away afterwards approved their
  // own.
  expect(await verify({ by: [keys.anna], ...ownedBy('olga') })).toMatchObject({ ok: true })
  expect(await verify({ by: [keys.anna], ...ownedBy('anna') })).toMatchObject({ code: 'approver_is_owner' })
  expect(await verify({ by: [keys.olga], ...ownedBy('anna') })).toMatchObject({ ok: true })
})

it('refuses an approval whose arguments were not shown, unless the rule says digest_only (V3)', async () => {
  const one = { mode: 'per_action' as const, action_digest: jcsHash('action') }
  const of = (said: Partial<Rule>, facts: object = one, over: object = {}) =>
    verify({ rule: aRule({ modes: ['per_action', 'window'], ...said }), facts, ...over })
  expect(await of({})).toMatchObject({ ok: false, code: 'arguments_required' })
  expect(await of({ arguments: 'required' })).toMatchObject({ code: 'arguments_required' })
  expect(await of({ arguments: 'digest_only' })).toMatchObject({ ok: true })
  for (const said of [{}, { arguments: 'digest_only' as const }])
    expect(await of(said, { ...one, arguments: 'shown' })).toMatchObject({ ok: true })
  expect(await of({}, {})).toMatchObject({ ok: true }) // a window has no exact action
  expect(await of({}, one, ofOlderLogs)).toMatchObject({ ok: true })
  expect(await of({ arguments: 'required' }, one, ofOlderLogs)).toMatchObject({ code: 'arguments_required' })
  const window = { ...aStatement({ approvers }), arguments: 'shown' as const }
  const signed = { statement: window, assertions: [keys.anna.sign(window)] }
  expect(await verify(signed)).toMatchObject({ code: 'approval_rule_mismatch' })
})
