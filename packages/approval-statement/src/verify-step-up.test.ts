import type { Approver, Rule, StepUpStatement, ToolServer } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { buildStepUpStatement } from './build-statement.ts'
import { ofOlderLogs } from './must-show.ts'
import {
  agent,
  anApprover,
  aPasskey,
  aRule,
  authority,
  byId,
  iso,
  now,
  type TestPasskey,
  trust,
} from './samples.test-data.ts'
import { type StepUpCheck, verifyStepUp } from './verify-step-up.ts'

const keys = { anna: aPasskey(), ben: aPasskey(), carl: aPasskey(), olga: aPasskey() }
const approvers = [
  anApprover('anna', ['finance'], keys.anna),
  anApprover('ben', ['finance'], keys.ben),
  anApprover('carl', ['other'], keys.carl),
  anApprover('olga', ['finance'], keys.olga),
]
const grant = {
  id: `grt_${'g'.repeat(43)}`,
  agent: `${agent.id}/one`,
  authority: { ...authority, max_depth: 0, max_children: 0 },
  mode: 'continuous' as const,
  not_after: iso(now + 3_600_000),
}
const registryOf = (enrolled: Approver[], ...rules: Rule[]) => ({
  approvers: byId(...enrolled),
  rules: byId(...rules),
  agents: byId(agent),
  toolServers: byId<ToolServer>(),
})

function aStatement(over: Partial<StepUpStatement> = {}): StepUpStatement {
  const facts = {
    installation: trust.installation,
    request_id: 'req_01234567890123456789',
    grant_id: grant.id,
    action_digest: jcsHash('action'),
    arguments: 'shown' as const,
    effect: { kind: 'action' as const },
    not_after: iso(now + 600_000),
    nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
    now,
  }
  return { ...buildStepUpStatement(facts), ...over }
}

interface Over extends Partial<StepUpCheck> {
  facts?: Partial<StepUpStatement>
  rule?: Rule
  by?: TestPasskey[]
}
function verify({ facts, rule = aRule(), by = [keys.anna], ...over }: Over = {}) {
  const statement = aStatement(facts)
  const assertions = by.map((passkey) => passkey.sign(statement))
  const registry = registryOf(approvers, rule)
  return verifyStepUp({ statement, assertions, grant, registry, trust, at: now + 1000, ...over })
}
const goesOn = (ms: number) => ({ effect: { kind: 'task' as const, until: iso(now + ms) } })
const two = aRule({ approvers: { group: 'finance', quorum: 2 } })

it('counts the people who said yes once more (V3)', async () => {
  expect(await verify()).toEqual({ ok: true, approverIds: ['anna'] })
  expect(await verify({ facts: goesOn(3_600_000) })).toEqual({ ok: true, approverIds: ['anna'] })
  expect(await verify({ rule: two, by: [keys.ben, keys.anna] })).toEqual({ ok: true, approverIds: ['anna', 'ben'] })
})

it.each<[string, Over, string]>([
  ['it is of another installation', { facts: { installation: 'ins_9999999999' } }, 'statement_unknown'],
  ['it names another grant', { facts: { grant_id: `grt_${'h'.repeat(43)}` } }, 'statement_unknown'],
  ['it is over', { at: now + 600_000 }, 'statement_unknown'],
  ['it is not rendered yet', { at: now - 5001 }, 'statement_unknown'],
  ['it would last an hour', { facts: { not_after: iso(now + 3600_000) } }, 'statement_unknown'],
  ['its end is no time', { facts: { not_after: 'x' } }, 'statement_unknown'],
  [
    'it reopens a grant that cannot lapse',
    { facts: goesOn(3_600_000), grant: { ...grant, mode: 'window' } },
    'statement_unknown',
  ],
  ['it reopens beyond the end of the grant', { facts: goesOn(3_600_001) }, 'statement_unknown'],
  ['it reopened until now', { facts: goesOn(1000) }, 'statement_unknown'],
  ['it reopens until no time', { facts: { effect: { kind: 'task', until: 'x' } } }, 'statement_unknown'],
  ['its time is none', { at: Number.NaN }, 'statement_unknown'],
  ['there are too few', { rule: two }, 'approval_quorum_missing'],
  ['there is no signer', { by: [] }, 'approval_quorum_missing'],
  ['one person signed twice (V10)', { rule: two, by: [keys.anna, keys.anna] }, 'approval_quorum_missing'],
  ['another group signed', { by: [keys.carl] }, 'approver_not_in_group'],
  ['the owner signed', { by: [keys.olga] }, 'approver_is_owner'],
  ['no approver has the passkey', { by: [aPasskey()] }, 'approver_unknown'],
  ['no rule holds any more', { registry: registryOf(approvers) }, 'approval_rule_missing'],
  ['another rule holds by now', { registry: registryOf(approvers, two) }, 'approval_quorum_missing'],
  ['the agent is another', { grant: { ...grant, agent: 'spiffe://acme.example/agent/ledg/one' } }, 'agent_unknown'],
  [
    'the grant cannot be read',
    { grant: { ...grant, authority: { ...grant.authority, x: 1 } } },
    'authority_not_understood',
  ],
])('refuses when %s (V3)', async (_, over, code) => {
  expect(await verify(over)).toMatchObject({ ok: false, code })
})

it('takes no signature over another action, or another statement of it (V3)', async () => {
  const other = keys.anna.sign(aStatement({ action_digest: jcsHash('other') }))
  expect(await verify({ assertions: [other] })).toMatchObject({ code: 'assertion_invalid' })
  const again = keys.anna.sign(aStatement({ nonce: 'BAAAAAAAAAAAAAAAAAAAAA' }))
  expect(await verify({ assertions: [again] })).toMatchObject({ code: 'assertion_invalid' })
})

it('refuses a step-up whose arguments were not shown, unless the rule says digest_only (V3)', async () => {
  const blind = { arguments: undefined }
  expect(await verify({ facts: blind })).toMatchObject({ ok: false, code: 'arguments_required' })
  const required = aRule({ arguments: 'required' })
  const digestOnly = aRule({ arguments: 'digest_only' })
  expect(await verify({ rule: required, facts: blind })).toMatchObject({ code: 'arguments_required' })
  expect(await verify({ rule: digestOnly, facts: blind })).toMatchObject({ ok: true })
  for (const rule of [aRule(), required, digestOnly]) expect(await verify({ rule })).toMatchObject({ ok: true })
  // Readers of logs accept it under a rule older than the member, but not under a rule that says `required`.
  expect(await verify({ facts: blind, ...ofOlderLogs })).toMatchObject({ ok: true })
  expect(await verify({ rule: required, facts: blind, ...ofOlderLogs })).toMatchObject({ code: 'arguments_required' })
})
