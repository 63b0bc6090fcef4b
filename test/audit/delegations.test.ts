import { parseAuthority } from '@bailiwick/authority'
import type { EventData } from '@bailiwick/contracts'
import {
  type Delegation,
  delegationHash,
  delegationId,
  generateKey,
  sha256,
  signDelegation,
} from '@bailiwick/credentials'
import { sample, sampleAgentId, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import type { Rule } from '@bailiwick/verify/audit'
import { expect, it } from 'vitest'
import { allowed, findingsOf } from './forge.ts'
import { type GoodLog, goodLog } from './good-log.ts'

// What a stolen issuer or decision point could write about a delegation; each is a finding (V5, V6).

const passedOn = { ...sampleAuthority, max_depth: 1, max_children: 1, budget: { calls: 8, cost: { EUR: '1000.00' } } }
const child = `${sampleAgentId('forecaster')}/${sample.instance}`
const narrow = { ...passedOn, budget: { calls: 2, cost: { EUR: '500.00' } }, max_depth: 0, max_children: 0 }

type Redeemed = EventData<'grants.v1', 'delegation.redeemed'>

/** A good log in which the agent delegates a part, and its sub-agent acts twice. `said`: overrides for what the agent signs. */
async function family(said: Partial<Delegation> = {}, by?: 'stranger', granted: object = passedOn): Promise<GoodLog> {
  const log = await goodLog()
  const authority = granted as never
  const id = log.grant('family', { asked: { authority }, statement: { authority } })
  const { grant } = log.draft<'grants.v1', 'grant.created'>('family grant').data
  const key = sampleKey(log.data, 'forecaster')
  const seconds = Math.floor(Date.parse(log.iso()) / 1000)
  const claims = {
    iss: log.agent,
    sub: child,
    aud: log.trust.installation,
    iat: seconds,
    exp: seconds + 600,
    jti: 'to the forecaster',
    cnf: { jkt: key.kid },
    grant: id,
    as_of: grant.as_of,
    parent_hash: grant.statement_hash,
    authorization_details: [narrow],
    ...said,
  } as Delegation
  const delegation = signDelegation(claims, by ? generateKey('agent') : sampleKey(log.data, 'reconciler'))
  const data: Redeemed = {
    delegation_id: delegationId(delegation) ?? '',
    grant_id: id,
    delegation,
    agent: claims.sub,
    instance_key: claims.cnf.jkt,
    authority: claims.authorization_details[0] as Redeemed['authority'],
    not_after: new Date(claims.exp * 1000).toISOString(),
  }
  log.say('redeemed', 'grants.v1', 'delegation.redeemed', data.delegation_id, data, { key: id, version: 4 })
  const intended = structuredClone(log.draft<'grants.v1', 'credential.intended'>('family intended').data)
  const credential_id = `crd_${'s'.repeat(20)}`
  const theirs = { credential_id, delegation_id: data.delegation_id, agent: child, jkt: key.kid }
  const expires_at = log.iso(120_000)
  const intent = { ...intended, ...theirs, issued_at: log.iso(), expires_at }
  log.say('sub intended', 'grants.v1', 'credential.intended', credential_id, intent, { key: id, version: 5 })
  for (const [n, name] of ['sub read', 'sub read again'].entries()) {
    log.allow(name, 'family', n + 1)
    const { data: said } = allowed(log, name)
    Object.assign(said.actor, { credential_id, delegation_id: data.delegation_id, sub_agent: child })
    said.chain = [{ delegation_id: data.delegation_id, agent: child, permission: 0 }]
    said.as_of = 1
  }
  return log
}

const redeemed = (log: GoodLog) => log.draft<'grants.v1', 'delegation.redeemed'>('redeemed').data
const intended = (log: GoodLog) => log.draft<'grants.v1', 'credential.intended'>('sub intended').data
const link = (log: GoodLog) =>
  allowed(log, 'sub read').data.chain?.[0] ?? { permission: -1, agent: '', delegation_id: '' }

it('accepts what a sub-agent did within its delegation (V5, V6)', async () => {
  using log = await family()
  expect(await findingsOf(log)).toEqual([])
})

it('finds that a delegation was redeemed by an agent that the grant does not list', async () => {
  const details: Delegation['authorization_details'] = [{ ...narrow, delegates: [] }]
  using listed = await family({ authorization_details: details }, undefined, {
    ...passedOn,
    delegates: [sampleAgentId('forecaster')],
  })
  expect(await findingsOf(listed)).toEqual([])
  for (const delegates of [[sampleAgentId('reconciler')], []]) {
    using other = await family({ authorization_details: details }, undefined, { ...passedOn, delegates })
    expect((await findingsOf(other)).map((each) => `${each.rule} ${each.detail}`)).toContainEqual(
      expect.stringMatching(/^V5 .*not listed/),
    )
  }
})

it.each<[string, Rule, Partial<Delegation>]>([
  ['more calls', 'V5', { authorization_details: [{ ...narrow, budget: { ...narrow.budget, calls: 9 } }] }],
  [
    'another tool',
    'V5',
    {
      authorization_details: [
        { ...narrow, permissions: [{ ...narrow.permissions[0], resource: { type: 'tool', id: 'x/y' } }] },
      ],
    },
  ],
  ['more depth', 'V5', { authorization_details: [{ ...narrow, max_depth: 2 }] }],
  ['a longer life', 'V5', { exp: Math.floor(Date.parse('2026-11-24T12:00:00.000Z') / 1000) + 7200 }],
  ['a later as_of', 'V5', { as_of: 1 }],
  ['another grant', 'V6', { grant: `grt_${sha256('x')}` }],
  ['another parent', 'V6', { parent_hash: sha256('x') }],
  ['another installation', 'V6', { aud: 'ins_9999999999abcdef' }],
  ['another maker', 'V6', { iss: child }],
  ['its maker once more', 'V6', { sub: `${sampleAgentId('reconciler')}/${sample.instance}` }],
])('finds that a delegation was redeemed with %s', async (_, rule, said) => {
  using log = await family(said)
  expect((await findingsOf(log)).map((each) => each.rule)).toContain(rule)
})

it.each<[string, Rule, (log: GoodLog) => void]>([
  ['by another agent than was signed', 'V6', (log) => Object.assign(redeemed(log), { agent: log.agent })],
  ['with more authority than was signed', 'V6', (log) => Object.assign(redeemed(log), { authority: passedOn })],
  ['with a credential for another key', 'V4', (log) => Object.assign(intended(log), { jkt: sha256('x') })],
  [
    'with a credential that outlives it',
    'V4',
    (log) => Object.assign(intended(log), { issued_at: log.iso(500_000), expires_at: log.iso(900_000) }),
  ],
  [
    'with a credential of a delegation that was never redeemed',
    'V6',
    (log) => Object.assign(intended(log), { delegation_id: `dlg_${sha256('x')}` }),
  ],
  ['in an ALLOW that names no chain', 'V6', (log) => void delete allowed(log, 'sub read').data.chain],
  ['in an ALLOW of another sub-agent', 'V6', (log) => Object.assign(link(log), { agent: log.agent })],
  ['in an ALLOW by another permission of it', 'V5', (log) => Object.assign(link(log), { permission: 1 })],
  ['after it was revoked', 'V7', (log) => revoke(log, 'delegation', redeemed(log).delegation_id)],
  ['after its sub-agent was revoked', 'V7', (log) => revoke(log, 'agent', sampleAgentId('forecaster'))],
  ['in an ALLOW beyond its own budget', 'V9', (log) => third(log)],
])('finds that it was used %s', async (_, rule, lie) => {
  using log = await family()
  lie(log)
  expect((await findingsOf(log)).map((each) => each.rule)).toContain(rule)
})

it('finds a delegation that another key signed, and one child too many (V5, V6)', async () => {
  using forged = await family({}, 'stranger')
  expect((await findingsOf(forged)).map(({ rule }) => rule)).toContain('V6')
  using log = await family()
  const first = redeemed(log)
  const payload = JSON.parse(Buffer.from(first.delegation.split('.')[1] ?? '', 'base64url').toString())
  const delegation = signDelegation({ ...payload, jti: 'one more' }, sampleKey(log.data, 'reconciler'))
  const more = { ...first, delegation, delegation_id: `dlg_${delegationHash(delegation)}` }
  log.say('one more', 'grants.v1', 'delegation.redeemed', more.delegation_id, more, { key: first.grant_id, version: 6 })
  expect((await findingsOf(log)).map(({ rule }) => rule)).toEqual(['V5'])
})

function revoke(log: GoodLog, kind: 'delegation' | 'agent', target: string): void {
  const revoked = {
    revocation_id: `rev_${'1'.repeat(20)}`,
    kind,
    target,
    reason: 'test',
    by: { kind: 'operator' as const, id: 'operator' },
  }
  log.say('revoked it', 'revocations.v1', 'revocation.declared', `${kind} ${target}`, revoked, {
    key: 'revocations',
    version: 2,
  })
  log.later(5000)
  third(log)
}

/** The sub-agent acts once more. */
function third(log: GoodLog): void {
  log.allow('sub read once more', 'family', 3)
  const { actor, chain } = allowed(log, 'sub read').data
  Object.assign(allowed(log, 'sub read once more').data, { actor, chain, as_of: 1 })
}

it('reads authorities that can be read', () => {
  for (const authority of [passedOn, narrow]) expect(parseAuthority(authority)).toMatchObject({ ok: true })
})
