import type { Entity, EntityType, Rule } from '@bailiwick/contracts'
import { expect, it } from 'vitest'
import { changeEffect } from './change-effect.ts'
import { policyChanges } from './policy-changes.ts'
import { agent, anApprover, aPasskey, aRule } from './samples.test-data.ts'

const payments = aRule({
  id: 'payments',
  match: { actions: ['payments/send'], cost_above: { EUR: '500' } },
  approvers: { group: 'finance', quorum: 2 },
})
const effect = (type: EntityType, before: unknown, after: unknown) =>
  changeEffect({ type, id: 'x', before: before as Entity | null, after: after as Entity | null })

it('says of a rule who can approve what after it, and how it was', () => {
  const one: Rule = { ...payments, approvers: { group: 'finance', quorum: 1 }, owner_may_approve: true }
  expect(effect('rule', { ...payments, owner_may_approve: false }, one)).toBe(
    'After this, one person of "finance" can approve requests to do "payments/send" above 500 EUR; before, it took 2 people of "finance"; the owner of an agent may approve what it asks.',
  )
  expect(effect('rule', payments, null)).toBe(
    'After this, the rule "x" is gone: requests to do "payments/send" above 500 EUR go by the next rule that matches, or cannot be approved.',
  )
})

it('says of a person who comes, goes, joins, leaves and gets a passkey', () => {
  const [first, second] = [aPasskey(), aPasskey()]
  const eve = anApprover('eve', ['finance'], first)
  expect(effect('approver', null, eve)).toMatch(
    /^After this, ".*" \(x\) can sign with one passkey as a member of "finance"\.$/,
  )
  expect(effect('approver', eve, { ...eve, groups: ['payments'] })).toContain('joins "payments" and leaves "finance"')
  const swapped = { ...eve, credentials: [second.record] }
  expect(effect('approver', eve, swapped)).toContain('1 NEW and 1 removed of the passkeys')
  expect(effect('approver', eve, null)).toContain('can sign nothing any more')
})

const server = { id: 'erp', url: 'https://erp.example/', manifest: 'm', tools: { send: { labels: ['external_send'] } } }
const point = {
  ...{ id: 'gate', caller_jwk: { x: 'a' }, outcome_jwk: { x: 'b' }, base_urls: ['https://gate.example/'] },
  ...{ resources: [{ type: 'tool', id_prefix: 'erp/' }], may_release: false, bearer_sha256: 'h' },
}
const whole: Record<string, [EntityType, Record<string, unknown>]> = {
  rule: [
    'rule',
    {
      ...payments,
      ...{ continuous: { reattest_seconds: 60, outcome_seconds: 30 }, arguments: 'digest_only' },
      ...{ closed_permissions: true, listed_delegates: true },
    },
  ],
  agent: ['agent', { ...agent, callbacks: ['https://a.example/'] }],
  approver: ['approver', anApprover('eve', ['finance'], aPasskey()) as never],
  'tool server': ['tool-server', server],
  'enforcement point': ['enforcement-point', point],
  auditor: ['auditor', { id: 'audit', name: 'Audit', jwk: { x: 'a' } }],
  'service key': ['service-key', { id: 'k', topics: [], state: 'active' }],
  recovery: ['recovery', { id: 'rcv-1', jwk: { x: 'a' }, approver_id: 'eve', name: 'Eve', groups: [] }],
}

it.each(Object.entries(whole))('leaves no member of a changed %s unsaid (V3)', (_, [type, value]) => {
  const unchanged = effect(type, value, value)
  for (const member of Object.keys(value).filter((name) => name !== 'id')) {
    const { [member]: known, ...less } = value
    const others: unknown[] = [
      ...(typeof known === 'boolean' ? [!known] : []),
      ...(typeof known === 'string' ? [`${known}2`] : []),
      ...(typeof known === 'number' ? [known + 1] : []),
      ...(Array.isArray(known) ? [[...known, known[0] ?? 'more']] : []),
      ...(typeof known === 'object' && !Array.isArray(known) ? [{ ...known, later: { labels: [] } }] : []),
    ]
    for (const other of others)
      expect([member, effect(type, { ...less, [member]: other }, value)]).not.toEqual([member, unchanged])
  }
  expect(effect(type, { ...value, later: 1 }, { ...value, later: 2 })).toContain('later is another')
})

it('says what a tool is no longer labelled, and what an enforcement point may ask about', () => {
  const plain = { ...server, tools: { send: { labels: [] } } }
  expect(effect('tool-server', server, plain)).toContain('"send": no labels (before: "external_send")')
  const wide = { ...point, resources: [{ type: 'tool' }], may_release: true }
  expect(effect('enforcement-point', point, wide)).toContain(
    'may ask about every tool and may give back what was reserved; before, it might ask about every tool below "erp/"; before, it might not give back',
  )
  expect(effect('agent', agent, { ...agent, owner: 'eve' })).toContain(
    `"eve" owns it; before, "${agent.owner}" owned it`,
  )
})

const forbid = '@id("no-external-after-private") forbid (principal, action, resource) when { true };'
const permit = '@id("all") permit (principal, action, resource);'

it('names the policies that come, go and change, and says where more may be allowed', () => {
  const changes = (before: string, after: string) => policyChanges({ 'a.cedar': before }, { 'a.cedar': after })
  const more = { mayAllowMore: true }
  expect(changes(permit + forbid, permit)).toEqual({
    said: ['removes the forbid "no-external-after-private"'],
    ...more,
  })
  expect(changes(permit, permit + forbid)).toEqual({
    said: ['adds the forbid "no-external-after-private"'],
    mayAllowMore: false,
  })
  expect(changes(forbid, permit + forbid)).toEqual({ said: ['adds the permit "all"'], ...more })
  expect(changes(permit + forbid, forbid)).toEqual({ said: ['removes the permit "all"'], mayAllowMore: false })
  expect(changes(`@redact("iban") ${permit}`, '')).toMatchObject(more) // the policy's obligations go with it
  expect(changes(forbid, forbid.replace('true', 'false'))).toMatchObject(more)
  expect(changes(forbid, `// a comment; @id("x")\n  ${forbid}`)).toEqual({ said: [], mayAllowMore: false })
  // Text that only looks like a policy, and an annotation named like an effect.
  expect(changes(forbid, forbid.replace('true', '"; permit (principal, action, resource);" != ""'))).toEqual({
    said: ['changes the forbid "no-external-after-private"'],
    ...more,
  })
  expect(changes('', `@permit("x") ${forbid}`)).toEqual({
    said: ['adds the forbid "no-external-after-private"'],
    mayAllowMore: false,
  })
  expect(changes('', 'permit (principal, action, resource);').said).toEqual(['adds the permit "a.cedar, policy 1"'])
  expect(policyChanges({ 'schema.cedarschema': 'a' }, { 'schema.cedarschema': 'b' })).toEqual({
    said: ['changes the file "schema.cedarschema"'],
    ...more,
  })
})

it('says so where it cannot know what policies say', () => {
  const set = { id: 'active', hash: 'h', files: {} }
  const policies = (text?: object) =>
    changeEffect({
      type: 'policy-set',
      id: 'active',
      before: set as never,
      after: { ...set, hash: 'i' } as never,
      text: text as never,
    })
  expect(policies()).toContain('cannot be compared here')
  expect(policies({ before: null, after: {} })).toContain('cannot be compared here')
  const said = policies({ before: { 'a.cedar': permit + forbid }, after: { 'a.cedar': permit } })
  expect(said).toBe(
    'After this, other policies decide: this removes the forbid "no-external-after-private". More may be allowed than before.',
  )
  expect(effect('policy-set', set, null)).toBe('After this, there are no policies: every action is denied.')
})

it.each([
  'rule',
  'agent',
  'approver',
  'tool-server',
  'enforcement-point',
  'auditor',
  'recovery',
  'policy-set',
] as const)('says of a %s that is retired already that there is none', (type) => {
  expect(effect(type, null, null)).toBe(`There is no ${type} "x" any more.`)
})
