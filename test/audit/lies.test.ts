import { grantOf } from '@bailiwick/approval-statement'
import { jcsHash, sha256 } from '@bailiwick/credentials'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import type { Rule } from '@bailiwick/verify/audit'
import { expect, it } from 'vitest'
import { allowed, findingsOf, move } from './forge.ts'
import { type GoodLog, goodLog } from './good-log.ts'

// The oracle is an assertion of every system test. These tests show that it fails for each thing that a stolen service
// could write with its own keys, numbered and chained as if it were honest.

const outcome = (log: GoodLog, name: string) => log.draft<'decisions.v1', 'outcome.reported'>(name)
const grant = (log: GoodLog) => log.draft<'grants.v1', 'grant.created'>('task grant').data
const intent = (log: GoodLog) => log.draft<'grants.v1', 'credential.intended'>('task intended').data
const received = (log: GoodLog) => log.draft<'approvals.v1', 'request.received'>('task received').data
const approved = (log: GoodLog) => log.draft<'approvals.v1', 'request.approved'>('task approved').data

/** `detail` distinguishes this finding from another that could be meant. */
const lies: readonly [name: string, rule: Rule, lie: (log: GoodLog) => void, detail?: string][] = [
  [
    'an ALLOW over the budget of calls (V9)',
    'V9',
    (log) => {
      grantBudget(log).calls = 2
    },
  ],
  [
    'an ALLOW over the budget of money (V9)',
    'V9',
    (log) => {
      log.drafts.delete('taken back')
      renumber(log)
      log.allow('adjust once more', 'task', 8, '500')
      log.allow('adjust beyond', 'task', 9, '200')
      move(log, 'adjust once more', 'denied')
      move(log, 'adjust beyond', 'denied')
      renumber(log)
    },
  ],
  [
    'an ALLOW over the uses of its permission (V9)',
    'V9',
    (log) => {
      grantUses(log).max_uses = 1
    },
  ],
  [
    'an outcome that gives back more than was reserved (V9)',
    'V9',
    (log) => {
      outcome(log, 'not adjusted').data.released = { calls: 1, egress_bytes: 0, cost: { EUR: '900.00' } }
    },
    'more than was reserved',
  ],
  [
    'an outcome that gives back what was spent (V9)',
    'V9',
    (log) => {
      outcome(log, 'adjust done').data.released = { calls: 1, egress_bytes: 0, cost: { EUR: '400.00' } }
    },
  ],
  [
    'an ALLOW in a currency without a budget (V9)',
    'V9',
    (log) => {
      allowed(log, 'adjust').data.reserved.cost = { USD: '1' }
    },
    'no budget',
  ],
  [
    'a second outcome that says something else (V1)',
    'V1',
    (log) => {
      log.outcome('read again', 'read', 3, 9, 'not_executed')
      outcome(log, 'read again').data.status = 'succeeded'
      move(log, 'read again', 'adjust')
    },
    'a second outcome',
  ],
  [
    'an ALLOW that reserves less than its price (V3)',
    'V3',
    (log) => {
      allowed(log, 'adjust').data.reserved.cost.EUR = '4.00'
    },
  ],
  [
    'an ALLOW of an argument over its bound (V3)',
    'V3',
    (log) => {
      const { action, reserved } = allowed(log, 'adjust').data
      action.arguments = { '/amount': '501', '/currency': 'EUR' }
      reserved.cost.EUR = '501'
    },
  ],
  [
    'an ALLOW of a tool that was not granted (V3)',
    'V3',
    (log) => {
      allowed(log, 'read').data.action.resource.id = `${sample.toolServer}/delete`
    },
  ],
  [
    'an ALLOW for another agent (V3)',
    'V3',
    (log) => {
      allowed(log, 'read').data.actor.agent = log.agent.replace('reconciler', 'forecaster')
    },
  ],
  [
    'an ALLOW for a grant that was never made (V3)',
    'V3',
    (log) => {
      const draft = allowed(log, 'read')
      draft.key = `grt_${'A'.repeat(43)}`
      draft.data.actor.grant_id = draft.key
    },
  ],
  [
    'an ALLOW by policies that were never approved (V3)',
    'V3',
    (log) => {
      allowed(log, 'read').data.policy_set = hash
    },
  ],
  [
    'an ALLOW after the grant is over (V3)',
    'V3',
    (log) => {
      const draft = allowed(log, 'last read')
      draft.at += 3600_000
    },
  ],
  [
    'an ALLOW without a credential (V4)',
    'V4',
    (log) => {
      allowed(log, 'read').data.actor.credential_id = `crd_${'x'.repeat(20)}`
    },
  ],
  [
    'an ALLOW with a credential that is over (V4)',
    'V4',
    (log) => {
      intent(log).expires_at = new Date(allowed(log, 'read').at - 2000).toISOString()
      intent(log).issued_at = new Date(allowed(log, 'read').at - 3000).toISOString()
    },
  ],
  [
    'an ALLOW more than a second after a revocation (V7)',
    'V7',
    (log) => {
      move(log, 'revoked', 'last read')
      log.draft('revoked').at = allowed(log, 'last read').at - 1500
    },
  ],
  [
    'an ALLOW under a statement shown before everything was stopped, which claims to know of the stop (V7)',
    'V7',
    (log) => {
      log.grant('other', { statement: { as_of: 9 } })
      log.allow('other read', 'other', 1)
      move(log, 'revoked', 'other read')
      const { at } = allowed(log, 'other read')
      const revoked = log.draft<'revocations.v1', 'revocation.declared'>('revoked')
      revoked.at = at + 8500
      Object.assign(revoked.data, { kind: 'all', target: '*' })
      allowed(log, 'other read').at = at + 10_000
    },
    'allowed after revocation 1',
  ],
  [
    'an ALLOW that knew of the revocation (V7)',
    'V7',
    (log) => {
      move(log, 'revoked', 'last read')
      allowed(log, 'last read').data.as_of = 1
    },
  ],
  [
    'an ALLOW after its grant was completed (V7)',
    'V7',
    (log) => {
      move(log, 'expired', 'last read')
      log.draft('expired').type = 'grant.completed'
      log.draft('expired').at = allowed(log, 'last read').at - 1500
    },
  ],
  [
    'a credential whose intent came after a revocation (V7)',
    'V7',
    (log) => {
      move(log, 'revoked', 'task intended')
      log.draft('revoked').at = log.draft('task intended').at - 1500
    },
    'intended after revocation',
  ],
  [
    'an ALLOW for an enforcement point that does not guard the tool (V3)',
    'V3',
    (log) => {
      allowed(log, 'read').data.enforcement_point = 'nobody'
    },
    'not the enforcement point',
  ],
  [
    'an ALLOW once more for the same call in another tree (V10)',
    'V10',
    (log) => {
      log.grant('other')
      log.allow('other read', 'other', 1)
      allowed(log, 'other read').data.call_id = allowed(log, 'read').data.call_id
    },
  ],
  [
    'a second ALLOW for one proof, which every reader ignores (V10)',
    'V10',
    (log) => {
      log.allow('again', 'task', 11)
      allowed(log, 'again').data.proof_id = allowed(log, 'read').data.proof_id
    },
    'its proof counted before',
  ],
  [
    'an ALLOW that hides its proof (V10)',
    'V10',
    (log) => {
      log.allow('hidden', 'task', 11)
      delete allowed(log, 'hidden').data.proof_id
    },
    'it does not name its proof',
  ],
  [
    'a second grant of one request (V10)',
    'V10',
    (log) => {
      const statement = { ...grant(log).grant.statement, nonce: 'AAAAAAAAAAAAAAAAAAAAAA' }
      const second = grantOf(statement, grant(log).grant.assertions)
      log.say('second grant', 'grants.v1', 'grant.created', second.id, { grant: second }, { version: 1 })
    },
  ],
  [
    'a grant that says more than its statement (V3)',
    'V3',
    (log) => {
      grant(log).grant.not_after = log.iso(7200_000)
    },
  ],
  [
    'a grant whose humans signed another statement (V3)',
    'V3',
    (log) =>
      forgeGrant(log, (statement) => {
        statement.not_after = log.iso(3000_000)
      }),
  ],
  [
    'a grant of more than was asked (V3)',
    'V3',
    (log) =>
      forgeGrant(log, (statement) => void Object.assign(statement.authority, { budget: { calls: 999, cost: {} } })),
  ],
  [
    'a grant whose request no agent signed (V3)',
    'V3',
    (log) => {
      const asked = received(log)
      if (asked.kind === 'access') asked.request = `${asked.request.slice(0, -4)}AAAA`
    },
  ],
  ['a grant whose request was not approved (V3)', 'V3', (log) => void log.drafts.delete('task approved')],
  ['a grant that changed after it was created (V3)', 'V3', (log) => change(log, 'expired', { mode: 'per_action' })],
  [
    'an approval of another statement (V3)',
    'V3',
    (log) => {
      approved(log).statement = { ...grant(log).grant.statement, nonce: 'AAAAAAAAAAAAAAAAAAAAAA' }
    },
  ],
  [
    'a grant for an unregistered agent (V3)',
    'V3',
    (log) => void log.drafts.delete(`agent ${log.agent.slice(0, log.agent.lastIndexOf('/'))}`),
  ],
  ["a request in another agent's name (V3)", 'V3', (log) => void log.grant('other', { asked: { sub: stranger(log) } })],
  ['a request under the id of another (V3)', 'V3', (log) => void log.grant('other', { requestId: `req_${hash}` })],
  [
    'a statement about another request, which a human signed (V3)',
    'V3',
    (log) => void log.grant('other', { statement: { request_hash: hash } }),
  ],
  [
    'one action whose arguments were not shown to its approver (V3)',
    'V3',
    (log) => void log.grant('other', { asked: oneAction, statement: oneAction }),
    'arguments_required',
  ],
  [
    'one action whose arguments were shown although its agent sent none (V3)',
    'V3',
    (log) => void log.grant('other', { asked: oneAction, statement: { ...oneAction, arguments: 'shown' } }),
    'another kind of thing',
  ],
  [
    'an ALLOW by a step-up that was never approved (V3)',
    'V3',
    (log) => {
      allowed(log, 'read').data.step_up = `req_${hash}`
    },
    'its step-up was never approved',
  ],
  [
    'an ALLOW by the approval of a grant, as if it were a step-up (V3)',
    'V3',
    (log) => {
      allowed(log, 'read').data.step_up = approved(log).request_id
    },
    'its step-up was never approved',
  ],
  [
    'two parts of one request with the same budget (V3)',
    'V3',
    (log) => shareOut(log, { calls: 8, cost: { EUR: '1000.00' } }, { calls: 8, cost: { EUR: '1500.00' } }),
    'the parts of one ask',
  ],
  [
    'more than was asked, which a human signed (V3)',
    'V3',
    (log) => {
      const wider = { ...sampleAuthority, budget: { calls: 999, cost: { EUR: '2000.00' } } }
      log.grant('other', { statement: { authority: structuredClone(wider) as never } })
    },
  ],
  [
    'a credential of another grant (V4)',
    'V4',
    (log) => {
      intent(log).grant_id = `grt_${'A'.repeat(43)}`
    },
  ],
  [
    'a credential that outlives its grant (V4)',
    'V4',
    (log) => {
      const until = Date.parse(grant(log).grant.not_after)
      intent(log).expires_at = new Date(until + 60_000).toISOString()
      intent(log).issued_at = new Date(until - 60_000).toISOString()
    },
  ],
  [
    'one decision id in two trees (V10)',
    'V10',
    (log) => {
      log.grant('other')
      log.allow('other read', 'other', 1)
      allowed(log, 'other read').data.decision_id = allowed(log, 'read').data.decision_id
    },
  ],
  [
    'a credential for another key (V4)',
    'V4',
    (log) => {
      intent(log).jkt = hash
    },
  ],
  [
    'a credential by an uncertified key (V4)',
    'V4',
    (log) => {
      intent(log).kid = hash
    },
  ],
  [
    'a credential that outlives ten minutes (V4)',
    'V4',
    (log) => {
      intent(log).expires_at = log.iso(900_000)
    },
  ],
  [
    'an effect without an ALLOW (V1)',
    'V1',
    (log) => {
      log.drafts.delete('adjust')
      renumber(log)
    },
  ],
  ['a version that was left out', 'version', (log) => void log.drafts.delete('read done')],
  [
    'a registry change that was never authorised',
    'registry',
    (log) => {
      const { entity, value, authorization } = log.draft<'registry.v1', 'rule.registered'>('rule tasks').data
      const weaker = { ...value, max_window_seconds: 60 }
      const data = { entity, value: weaker, hash: jcsHash(weaker), authorization }
      log.say('rule changed', 'registry.v1', 'rule.changed', 'rule tasks', data, { version: 2 })
    },
  ],
  [
    'a version of the registry that was left out',
    'registry',
    (log) => {
      log.draft('approver').version = 2
    },
  ],
  [
    "an event that another service's key signed (V12)",
    'V12',
    (log) => {
      log.draft('revoked').signer = 'approval'
    },
  ],
  [
    'a token in an event (V17)',
    'V17',
    (log) => {
      const token = `${Buffer.from('{"alg":"ES256","typ":"at+jwt"}').toString('base64url')}.e30.AAAA`
      grant(log).cause = `seen ${token}`
    },
  ],
  [
    'a private key in an event (V17)',
    'V17',
    (log) => {
      grant(log).cause = 'PRIVATE+KEY+log.example+00000000+AA'
    },
  ],
]

const hash = sha256('something else')
const oneAction = { mode: 'per_action' as const, action_digest: hash }
const stranger = (log: GoodLog) => log.agent.replace('reconciler', 'forecaster')

/** Another grant than the one that was created, in a later event. */
function change(log: GoodLog, name: string, to: object): void {
  const { data } = log.draft<'grants.v1', 'grant.expired'>(name)
  data.grant = { ...data.grant, ...to }
}

function grantBudget(log: GoodLog) {
  return grant(log).grant.authority.budget as { calls: number }
}

function grantUses(log: GoodLog) {
  return (grant(log).grant.authority.permissions as { max_uses?: number }[])[1] as { max_uses?: number }
}

/** Two grants of one request, as if rules had split it. */
function shareOut(log: GoodLog, ...budgets: object[]): void {
  const iat = Math.floor(Date.parse(log.iso()) / 1000)
  const asked = { jti: 'shared', iat, exp: iat + 600 }
  for (const [item, budget] of budgets.entries()) {
    const permissions = sampleAuthority.permissions.slice(item, item + 1)
    const authority = { ...sampleAuthority, permissions, budget } as never
    log.grant(`part${item}`, { item, asked, statement: { authority } })
  }
}

it('accepts two parts of one request that share its budget', async () => {
  using log = await goodLog()
  shareOut(log, { calls: 8, cost: {} }, { calls: 8, cost: { EUR: '1000.00' } })
  expect(await findingsOf(log)).toEqual([])
})

/** An issuer and an approval service that lie in concert: everything is consistent, but no person signed this statement. */
function forgeGrant(log: GoodLog, lie: (statement: ReturnType<typeof grant>['grant']['statement']) => void): void {
  const statement = structuredClone(grant(log).grant.statement)
  lie(statement)
  const forged = grantOf(statement, grant(log).grant.assertions)
  const old = grant(log).grant.id
  Object.assign(approved(log), { statement, statement_hash: forged.statement_hash })
  for (const draft of log.drafts.values()) {
    if (draft.subject === old) draft.subject = forged.id
    if (draft.key === old) draft.key = forged.id
    const { data } = draft as unknown as { data: Record<string, unknown> }
    if (data.grant_id === old) data.grant_id = forged.id
    if ('grant' in data) data.grant = forged
    if ('actor' in data) (data.actor as { grant_id: string }).grant_id = forged.id
  }
}

/** Closes the gaps that a forger left among the versions of decisions. */
function renumber(log: GoodLog): void {
  let version = 0
  for (const [name, draft] of log.drafts)
    if (draft.topic === 'decisions.v1' && draft.version !== undefined && name !== 'lost race') draft.version = ++version
}

it.each(lies)('finds %s', async (_, rule, lie, detail = '') => {
  using log = await goodLog()
  lie(log)
  const expected = { rule, detail: expect.stringContaining(detail) }
  expect(await findingsOf(log)).toContainEqual(expect.objectContaining(expected))
})
