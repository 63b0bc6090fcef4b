import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { grantOf } from '@bailiwick/approval-statement'
import { generateKey, jcsHash, sha256, signEvent } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { sample } from '@bailiwick/standalone/sample'
import { describe, expect, it } from 'vitest'
import { audit } from '../audit.ts'
import { type GoodLog, goodLog } from './good-log.ts'
import type { Rule } from './leaf.ts'

// The oracle is an assertion of every system test: here it is shown to fail, once for each thing that it is to see.

const allowed = (log: GoodLog, name: string) => log.draft<'decisions.v1', 'decision.allowed'>(name)
const outcome = (log: GoodLog, name: string) => log.draft<'decisions.v1', 'outcome.reported'>(name)
const grant = (log: GoodLog) => log.draft<'grants.v1', 'grant.created'>('task grant').data
const intent = (log: GoodLog) => log.draft<'grants.v1', 'credential.intended'>('task intended').data
const received = (log: GoodLog) => log.draft<'approvals.v1', 'request.received'>('task received').data
const approved = (log: GoodLog) => log.draft<'approvals.v1', 'request.approved'>('task approved').data

async function findingsOf(log: GoodLog, leaves?: readonly Uint8Array[]) {
  log.write(leaves)
  return (await audit(log.at)).findings
}

/** Puts a draft at another place of the log, said by whoever ran then. */
function move(log: GoodLog, name: string, before: string) {
  log.draft(name).start = log.draft(before).start
  const all = [...log.drafts].filter(([each]) => each !== name)
  const at = all.findIndex(([each]) => each === before)
  all.splice(at, 0, [name, log.draft(name)])
  log.drafts.clear()
  for (const [each, draft] of all) log.drafts.set(each, draft)
}

it('finds nothing wrong with a good log, and has seen all of it', async () => {
  using log = await goodLog()
  log.write()
  const { ok, leaves, findings, counted, void: lost } = await audit(log.at)
  expect({ ok, findings, lost }).toEqual({ ok: true, findings: [], lost: 1 })
  expect(leaves).toBe(log.drafts.size)
  expect(counted).toMatchObject({ 'grant.created': 1, 'credential.issued': 1, 'decision.allowed': 5 })
  expect(counted).toMatchObject({ 'outcome.reported': 3, 'revocation.declared': 1, 'approver.registered': 1 })
})

it('takes a batch that lost its place to another instance for void, not for wrong (V9)', async () => {
  using log = await goodLog()
  const idOf = (name: string) => `evt_${String(at(log, name)).padStart(20, '0')}`
  log.allow('lost with it', 'task', 8, '500')
  log.allow('lost too', 'task', 9, '500')
  move(log, 'lost with it', 'taken back')
  move(log, 'lost too', 'taken back')
  allowed(log, 'lost race').data.after = idOf('not adjusted')
  allowed(log, 'lost with it').data.after = idOf('lost race')
  allowed(log, 'lost too').data.after = idOf('lost with it')
  log.write()
  expect(await audit(log.at)).toMatchObject({ findings: [], void: 3 })
  const leaves = log.leaves()
  leaves.splice(at(log, 'lost with it'), 1)
  expect((await findingsOf(log, leaves)).map(({ rule }) => rule)).toEqual(['V15', 'version'])
})

it('ends with 1 as a command, and names the leaf, when something is wrong', { timeout: 20_000 }, async () => {
  using log = await goodLog()
  const run = () =>
    spawnSync(process.execPath, [join(import.meta.dirname, '../audit.ts'), log.data], { encoding: 'utf8' })
  log.write()
  expect(run()).toMatchObject({ status: 0, stdout: expect.stringContaining('"ok": true') })
  allowed(log, 'adjust').data.permission = 0
  log.write()
  expect(run()).toMatchObject({ status: 1, stdout: expect.stringContaining('"rule": "V3"') })
})

/** What a service that was taken over could write with its own keys, re-signed, numbered and chained as if it were honest. */
const lies: readonly [name: string, rule: Rule, lie: (log: GoodLog) => void][] = [
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
      outcome(log, 'not adjusted').data.released.cost.EUR = '900.00'
    },
  ],
  [
    'an outcome that gives back what was spent (V9)',
    'V9',
    (log) => {
      outcome(log, 'adjust done').data.released = { calls: 1, egress_bytes: 0, cost: { EUR: '400.00' } }
    },
  ],
  [
    'an ALLOW that costs less than it says (V3)',
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
    'an ALLOW for a grant that nobody made (V3)',
    'V3',
    (log) => {
      const draft = allowed(log, 'read')
      draft.key = `grt_${'A'.repeat(43)}`
      draft.data.actor.grant_id = draft.key
    },
  ],
  [
    'an ALLOW by policies that nobody approved (V3)',
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
    'a credential that was intended after a revocation (V7)',
    'V7',
    (log) => {
      move(log, 'revoked', 'task intended')
      log.draft('revoked').at = log.draft('task intended').at - 1500
    },
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
  [
    'a credential for another key (V4)',
    'V4',
    (log) => {
      intent(log).jkt = hash
    },
  ],
  [
    'a credential by a key that nobody certified (V4)',
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
  [
    'an effect of an ALLOW that was taken back (V1)',
    'V1',
    (log) => {
      log.outcome('done anyway', 'adjust more', 9, 4, 'succeeded')
      move(log, 'done anyway', 'denied')
    },
  ],
  [
    'an outcome that its enforcement point did not sign (V1)',
    'V1',
    (log) => {
      const { data } = outcome(log, 'read done')
      data.outcome = `${data.outcome.slice(0, -4)}AAAA`
    },
  ],
  [
    'an outcome that is told otherwise than it was signed (V1)',
    'V1',
    (log) => {
      outcome(log, 'read done').data.status = 'failed'
    },
  ],
  [
    'two outcomes under one number (V10)',
    'V10',
    (log) => {
      log.outcome('adjust done', 'adjust', 5, 1, 'succeeded')
    },
  ],
  ['a version that was left out', 'version', (log) => void log.drafts.delete('read done')],
  [
    'a registry change that nobody authorised',
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

function grantBudget(log: GoodLog) {
  return grant(log).grant.authority.budget as { calls: number }
}

function grantUses(log: GoodLog) {
  return (grant(log).grant.authority.permissions as { max_uses?: number }[])[1] as { max_uses?: number }
}

/** An issuer and an approval service that lie in concert: all fits, but nobody signed this statement. */
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

describe('finds what a service says that was taken over', () => {
  it.each(lies)('%s', async (_, rule, lie) => {
    using log = await goodLog()
    lie(log)
    expect((await findingsOf(log)).map((finding) => finding.rule)).toContain(rule)
  })
})

const at = (log: GoodLog, name: string) => [...log.drafts.keys()].indexOf(name)

/** What a log could do that was taken over: it has no service's key, but signs any tree. */
const tampering: readonly [name: string, rule: Rule, tamper: (leaves: Uint8Array[], log: GoodLog) => void][] = [
  ['an event that was left out (V15)', 'V15', (leaves, log) => void leaves.splice(at(log, 'read'), 1)],
  [
    'the last event of a service that started again, left out (V15)',
    'V15',
    (leaves, log) => void leaves.splice(at(log, 'denied'), 1),
  ],
  [
    'two decisions of a tree in another order',
    'version',
    (leaves, log) => {
      const [a, b] = [at(log, 'read done'), at(log, 'adjust')]
      ;[leaves[a], leaves[b]] = [leaves[b] as Uint8Array, leaves[a] as Uint8Array]
    },
  ],
  ['an event twice (V2)', 'V2', (leaves, log) => void leaves.push(leaves[at(log, 'read')] as Uint8Array)],
  [
    'a flipped version (V12)',
    'V12',
    (leaves, log) => edit(leaves, at(log, 'adjust'), (text) => text.replace('"version":3', '"version":8')),
  ],
  [
    'a changed amount (V12)',
    'V12',
    (leaves, log) => edit(leaves, at(log, 'adjust'), (text) => text.replaceAll('400.00', '100.00')),
  ],
  [
    'an event by a key that nobody certified (V12)',
    'V12',
    (leaves, log) => {
      const n = at(log, 'read')
      const text = Buffer.from(leaves[n] as Uint8Array).toString()
      leaves[n] = signEvent(Buffer.from(`${text.slice(0, text.lastIndexOf(',"jws":'))}}`), generateKey('pdp-event'))
    },
  ],
  ['an entry that is no event', 'leaf', (leaves) => void leaves.push(Buffer.from('{"specversion":"1.0"}'))],
]

function edit(leaves: Uint8Array[], n: number, change: (text: string) => string): void {
  const text = Buffer.from(leaves[n] as Uint8Array).toString()
  expect(change(text)).not.toBe(text)
  leaves[n] = Buffer.from(change(text))
}

describe('finds what a log does that was taken over', () => {
  it.each(tampering)('%s', async (_, rule, tamper) => {
    using log = await goodLog()
    const leaves = log.leaves()
    tamper(leaves, log)
    expect((await findingsOf(log, leaves)).map((finding) => finding.rule)).toContain(rule)
  })

  it('a changed byte of a file, and names the leaf (V14)', async () => {
    using log = await goodLog()
    log.write()
    const path = `tile/entries/000.p/${log.drafts.size}`
    const bytes = Buffer.from(readFileSync(join(log.at.logDir, path)))
    bytes[bytes.length - 200] = (bytes[bytes.length - 200] as number) ^ 1
    log.put(path, bytes)
    const { findings } = await audit(log.at)
    expect(findings).toContainEqual(expect.objectContaining({ rule: 'V14', leaf: log.drafts.size - 1 }))
  })

  it('a checkpoint that another key signed (V14)', async () => {
    using log = await goodLog()
    using other = await goodLog()
    log.write()
    other.write()
    log.put('checkpoint', readFileSync(join(paths(other.data).log, 'checkpoint')))
    expect((await audit(log.at)).findings).toEqual([expect.objectContaining({ rule: 'V14' })])
  })
})
