import { actionHash } from '@bailiwick/contracts'
import { type Continuation, generateKey, signContinuation } from '@bailiwick/credentials'
import { sampleKey } from '@bailiwick/standalone/sample'
import type { Rule } from '@bailiwick/verify/audit'
import { expect, it } from 'vitest'
import { allowed, findingsOf } from './forge.ts'
import { GoodLog } from './good-log.ts'

// A call in rounds: what the oracle finds nothing in, and each lie about it.

/** An ALLOW that goes on with another, and takes nothing. `said`: what its point states otherwise. */
function goOn(log: GoodLog, name: string, from: string, version: number, said: Partial<Continuation> = {}): void {
  log.allow(name, 'task', version, '400.00')
  const { data } = allowed(log, name)
  const before = allowed(log, from).data
  data.reserved = { calls: 0, cost: {}, egress_bytes: 0 }
  const statement = {
    installation: log.trust.installation,
    enforcement_point: data.enforcement_point,
    ...(data.instance === undefined ? {} : { instance: data.instance }),
    call_id: data.call_id,
    decision_id: before.decision_id,
    action_digest: actionHash(allowed(log, 'first').data.action),
    ...said,
  }
  const asked = signContinuation(statement, sampleKey(log.data, 'point-caller'))
  data.continues = { decision_id: before.decision_id, asked }
}

/** A call that its server answered with questions twice, and then with a result. Its money is half of the budget. */
async function rounds(...prepare: ConstructorParameters<typeof GoodLog>): Promise<GoodLog> {
  const log = new GoodLog(...prepare)
  await log.begin()
  log.grant('task')
  log.allow('first', 'task', 1, '400.00')
  log.outcome('first asked', 'first', 2, 1, 'continued')
  goOn(log, 'second', 'first', 3)
  log.outcome('second asked', 'second', 4, 2, 'continued')
  goOn(log, 'third', 'second', 5)
  log.outcome('third done', 'third', 6, 3, 'succeeded')
  return log
}

it('a call in rounds is found in order: it takes one call, and its money once (V9)', async () => {
  const log = await rounds()
  log.allow('another', 'task', 7, '500.00')
  expect(await findingsOf(log)).toEqual([])
})

it('the cost that its last round states may be what the first one reserved, and no more (V9)', async () => {
  const costing = async (amount: string) => {
    const log = await rounds()
    log.drafts.delete('third done')
    log.outcome('third done', 'third', 6, 3, 'succeeded', { cost: { amount, currency: 'EUR' } })
    return (await findingsOf(log)).map(({ rule }) => rule)
  }
  expect([await costing('400'), await costing('400.01')]).toEqual([[], ['V9']])
})

const lies: readonly [name: string, rule: Rule, lie: (log: GoodLog) => void, detail: string][] = [
  [
    'a round that takes a call once more',
    'V3',
    (log) => void Object.assign(allowed(log, 'third').data.reserved, { calls: 1 }),
    'not covered',
  ],
  [
    'a call that takes nothing, and is no round',
    'V3',
    (log) => void delete allowed(log, 'third').data.continues,
    'not covered',
  ],
  [
    'a round that its point did not ask for',
    'V9',
    (log) => {
      const { data } = allowed(log, 'third')
      const asked = signContinuation(
        {
          ...{ installation: log.trust.installation, enforcement_point: data.enforcement_point },
          ...{ call_id: data.call_id, decision_id: allowed(log, 'second').data.decision_id },
          ...(data.instance === undefined ? {} : { instance: data.instance }),
          action_digest: actionHash(allowed(log, 'first').data.action),
        },
        generateKey('pep-caller'),
      )
      data.continues = { decision_id: allowed(log, 'second').data.decision_id, asked }
    },
    'did not ask for it',
  ],
  ...(
    [
      ['another call', { call_id: 'call_0123456789abcdef' }],
      ['another decision', { decision_id: `dec_${'9'.repeat(20)}` }],
      ['another action', { action_digest: 'A'.repeat(43) }],
      ['another start of the point', { instance: 'two0start0of0a0point0A' }],
      ['another installation', { installation: 'ins_fedcba9876543210' }],
    ] as const
  ).map(([what, said]): (typeof lies)[number] => [
    `a round that its point asked for with ${what}`,
    'V9',
    (log) => {
      log.drafts.delete('third')
      log.drafts.delete('third done')
      goOn(log, 'third', 'second', 5, said)
    },
    'did not ask for it',
  ]),
  [
    'a round with another argument',
    'V9',
    (log) =>
      void Object.assign(allowed(log, 'third').data.action, { arguments: { '/amount': '399.00', '/currency': 'EUR' } }),
    'another call than its own',
  ],
  [
    'a round too late',
    'V9',
    (log) => {
      log.drafts.delete('third')
      log.drafts.delete('third done')
      log.later(31 * 60_000)
      goOn(log, 'third', 'second', 5)
    },
    'no such round',
  ],
  [
    'an eleventh round',
    'V9',
    (log) => {
      log.drafts.delete('third done')
      const names = ['third', ...Array.from({ length: 8 }, (_, n) => `round ${n + 4}`)]
      for (const [n, name] of names.slice(1).entries()) {
        log.outcome(`${names[n]} asked`, names[n] ?? '', 6 + 2 * n, 3 + n, 'continued')
        goOn(log, name, names[n] ?? '', 7 + 2 * n)
      }
    },
    'no such round',
  ],
]

it.each(lies)('%s is found (%s)', async (_, rule, lie, detail) => {
  const log = await rounds()
  lie(log)
  const findings = await findingsOf(log)
  expect(findings.filter((each) => each.rule === rule && each.detail.includes(detail))).not.toEqual([])
})

it('a round of a point that may not release is found (V9)', async () => {
  const log = await rounds((entities) =>
    entities.map((each) =>
      each.type === 'enforcement-point' ? { ...each, value: { ...each.value, may_release: false } } : each,
    ),
  )
  const findings = await findingsOf(log)
  expect(findings.map(({ rule, detail }) => [rule, detail.replace(/^\S+ /, '')])).toEqual([
    ['V9', 'its enforcement point may not say that a call takes nothing'],
    ['V9', 'its enforcement point may not say that a call takes nothing'],
  ])
})

it('a second round that goes on from where one did is no round, and found (V10)', async () => {
  const log = await rounds()
  goOn(log, 'again', 'first', 7)
  const findings = await findingsOf(log)
  expect(findings.filter(({ rule, detail }) => rule === 'V10' && detail.includes('went on in leaf'))).toHaveLength(1)
})

it('a round of a call that ended in the agent’s own process is no round, and found (V10)', async () => {
  const log = await rounds()
  log.drafts.delete('third')
  log.drafts.delete('third done')
  log.drafts.delete('second asked')
  log.outcome('second asked', 'second', 4, 2, 'continued', { enforced_by: 'in_process' })
  goOn(log, 'third', 'second', 5)
  const findings = await findingsOf(log)
  expect(findings.filter(({ rule, detail }) => rule === 'V10' && detail.includes('end with questions'))).toHaveLength(1)
})

it('a round of a call that ended otherwise is no round, and found (V10)', async () => {
  const log = await rounds()
  goOn(log, 'again', 'third', 7)
  const findings = await findingsOf(log)
  expect(findings.filter(({ rule, detail }) => rule === 'V10' && detail.includes('end with questions'))).toHaveLength(1)
})
