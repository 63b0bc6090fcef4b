import type { Agent, Approver, Rule, ToolServer } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { contentProblem } from './change-content.ts'
import { changeEffect } from './change-effect.ts'
import { ceilingProblem, longestEmergencyMs } from './emergency.ts'
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
  trust,
} from './samples.test-data.ts'
import { verifyApproval } from './verify-approval.ts'

const keys = { anna: aPasskey(), annasPhone: aPasskey(), ben: aPasskey(), carl: aPasskey(), dora: aPasskey() }
const people = [
  anApprover('anna', ['break_glass'], keys.anna, keys.annasPhone),
  anApprover('ben', ['break_glass'], keys.ben),
  anApprover('carl', ['break_glass'], keys.carl),
  anApprover('dora', ['finance'], keys.dora),
]
const identity: Agent = {
  ...agent,
  id: 'spiffe://acme.example/emergency/anna',
  owner: 'anna',
  attestor: { kind: 'emergency' },
}
const key = jcsHash('the key of this emergency')
const glass = (over: Partial<Rule> = {}): Rule =>
  aRule({
    id: 'break-glass',
    match: {},
    approvers: { group: 'break_glass', quorum: 2 },
    modes: ['window'],
    max_window_seconds: 900,
    emergency: { permissions: authority.permissions, budget: authority.budget },
    ...over,
  })

interface Over {
  facts?: Partial<Parameters<typeof aStatement>[0]>
  rules?: Rule[]
  by?: (keyof typeof keys)[]
  at?: number
  singleOperator?: boolean
  approvers?: Approver[]
}

function verify({ facts = {}, rules = [glass()], by = ['anna', 'ben'], at = now + 1000, ...more }: Over = {}) {
  const statement = aStatement({
    approvers: people,
    rule: rules[0] as Rule,
    agent: `${identity.id}/${key}`,
    instance_key: key,
    emergency: true,
    not_after: iso(now + longestEmergencyMs),
    ...facts,
  })
  return verifyApproval({
    statement,
    assertions: by.map((name) => keys[name].sign(statement)),
    registry: {
      approvers: byId(...people),
      rules: byId(...rules),
      agents: byId(identity, agent),
      toolServers: byId<ToolServer>(),
    },
    trust: { ...trust, single_operator: more.singleOperator === true },
    at,
  })
}

const refusal = async (over: Over) => {
  const told = await verify(over)
  return told.ok ? 'granted' : told.code
}

it('takes two people of the group, one of them the person who acts, even if the rule asks for fewer (V3, V10)', async () => {
  expect(await verify()).toEqual({ ok: true, approverIds: ['anna', 'ben'] })
  const one = glass({ approvers: { group: 'break_glass', quorum: 1 } })
  for (const [by, code] of [
    [['anna'], 'approval_quorum_missing'],
    [['anna', 'annasPhone'], 'approval_quorum_missing'],
    [['ben', 'carl'], 'approval_quorum_missing'],
    [['anna', 'dora'], 'approver_not_in_group'],
  ] as const)
    for (const rules of [[glass()], [one]]) expect([by, await refusal({ by: [...by], rules })]).toEqual([by, code])
  expect(await refusal({ by: ['ben', 'carl', 'anna'] })).toBe('granted')
  expect(await refusal({ singleOperator: true })).toBe('emergency_refused')
})

it('lasts 15 minutes from its rendering, even if the rule allows more (V3)', async () => {
  const day = glass({ max_window_seconds: 8 * 3600 })
  const until = (ms: number) => ({ not_after: iso(now + ms) })
  expect(await refusal({ rules: [day], facts: until(longestEmergencyMs) })).toBe('granted')
  expect(await refusal({ rules: [day], facts: until(longestEmergencyMs + 1) })).toBe('approval_rule_mismatch')
  // A window that begins late, and one whose rendering is said to be earlier or later than it was.
  const late = { not_before: iso(now + 60_000), ...until(longestEmergencyMs + 60_000) }
  expect(await refusal({ rules: [day], facts: late })).toBe('approval_rule_mismatch')
  expect(await refusal({ rules: [day], facts: { now: now - 60_000, ...until(longestEmergencyMs) } })).toBe(
    'approval_rule_mismatch',
  )
  expect(await refusal({ rules: [day], facts: { now: now + 60_000, ...late } })).toBe('statement_unknown')
  expect(await refusal({ at: now + longestEmergencyMs })).toBe('statement_unknown')
})

it('is one only by the registry: a mark alone makes none, and without the mark there is none (V3)', async () => {
  const { emergency: _, ...ordinary } = glass({ id: 'finance' })
  const as = (who: Agent) => ({ agent: `${who.id}/${key}` })
  expect(await refusal({ facts: { emergency: undefined } })).toBe('emergency_refused')
  expect(await refusal({ rules: [ordinary], facts: as(agent) })).toBe('emergency_refused')
  expect(await refusal({ rules: [ordinary], facts: { ...as(agent), emergency: undefined } })).toBe('granted')
  // Neither kind of rule holds for the other kind of agent.
  expect(await refusal({ rules: [ordinary] })).toBe('approval_rule_missing')
  expect(await refusal({ facts: as(agent) })).toBe('approval_rule_missing')
})

it.each<[string, Over['facts']]>([
  ['beyond the ceiling', { authority: { ...authority, budget: { calls: 21 } } }],
  ['without a budget', { authority: { ...authority, budget: {} } }],
  ['that can be delegated', { authority: { ...authority, max_depth: 1, max_children: 1 } }],
  ['that can move to another key', { rebind: 'attested' }],
  ['for an instance that its key does not name', { agent: `${identity.id}/one` }],
  ['for another key than the instance names', { instance_key: jcsHash('another key') }],
])('refuses one %s (V3, V5)', async (_, facts) => {
  expect(await refusal({ facts: facts ?? {} })).toBe('emergency_refused')
})

it('refuses a rule that asks for less than the code does, and says in capitals what such a rule opens (V3)', () => {
  expect(ceilingProblem(glass())).toBeUndefined()
  expect(ceilingProblem(aRule())).toBeUndefined()
  for (const weak of [
    { approvers: { group: 'break_glass', quorum: 1 } },
    { max_window_seconds: 901 },
    { modes: ['window', 'continuous'] },
    { emergency: { permissions: [{}], budget: {} } },
    { emergency: { permissions: authority.permissions, budget: {} } },
  ] as Partial<Rule>[])
    expect([weak, ceilingProblem(glass(weak))?.code]).toEqual([weak, 'registry_change_refused'])
  const effect = changeEffect({ type: 'rule', id: 'break-glass', before: aRule(), after: glass() })
  expect(effect).toContain('IN AN EMERGENCY 2 people of "break_glass"')
  expect(effect).toContain('invoices.read')
  expect(changeEffect({ type: 'agent', id: identity.id, before: null, after: identity })).toContain('EMERGENCY')
  const given = changeEffect({ type: 'agent', id: identity.id, before: identity, after: { ...identity, owner: 'ben' } })
  expect(given).toContain('BEFORE, "anna" OWNED IT, WHO ACTED BY IT IN AN EMERGENCY')
})

it('says which requests an ordinary rule no longer holds for when it becomes one for emergencies (V3)', () => {
  const ordinary = aRule({ id: 'payments', match: { actions: ['payments/send'] } })
  const after = glass({ id: 'payments', match: ordinary.match })
  expect(changeEffect({ type: 'rule', id: 'payments', before: ordinary, after })).toContain(
    'requests to do "payments/send": THESE go by the next rule that matches, or cannot be approved',
  )
})

it('refuses a ceiling for the rule of the registry: its group would change the registry by it (V3)', () => {
  const problem = (value: Rule) =>
    contentProblem({
      ...{ entity: { type: 'rule' as const, id: value.id }, version: 1, before: undefined },
      ...{ value, after: jcsHash(value), registry: { approvers: byId(...people) } },
    })
  expect(problem(glass())).toBeUndefined()
  expect(problem(glass({ id: 'registry' }))?.code).toBe('registry_change_refused')
  const { emergency: _, ...ordinary } = glass({ id: 'registry' })
  expect(problem(ordinary)).toBeUndefined()
})
