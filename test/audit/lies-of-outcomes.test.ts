import type { Rule } from '@bailiwick/verify/audit'
import { expect, it } from 'vitest'
import { allowed, findingsOf, move } from './forge.ts'
import { type GoodLog, goodLog } from './good-log.ts'

// As in lies.test.ts: false events about outcomes, each of which the oracle finds.

const outcome = (log: GoodLog, name: string) => log.draft<'decisions.v1', 'outcome.reported'>(name)

/** `detail` distinguishes this finding from another that could be meant. */
const lies: readonly [name: string, rule: Rule, lie: (log: GoodLog) => void, detail?: string][] = [
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
    'an outcome whose event differs from what was signed (V1)',
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
  [
    'two outcomes of one ALLOW, of which one was not accepted (V10)',
    'V10',
    (log) => {
      const { decision_id, grant_id, enforcement_point } = outcome(log, 'read done').data
      const refused = { decision_id, grant_id, enforcement_point, code: 'outcome_mismatch' as const }
      log.outcome('another', 'read', 9, 4, 'not_executed')
      const { data } = outcome(log, 'another')
      log.drafts.delete('another')
      const said = { ...refused, outcome: data.outcome }
      log.say('refused', 'decisions.v1', 'outcome.refused', decision_id, said, { key: grant_id })
      move(log, 'refused', 'denied')
    },
    'signed an outcome that was not accepted',
  ],
  [
    'a decision point that accuses an enforcement point by the outcome that counts (V10)',
    'V10',
    (log) => {
      const { decision_id, grant_id, enforcement_point, outcome: honest } = outcome(log, 'read done').data
      const said = { decision_id, grant_id, enforcement_point, code: 'outcome_mismatch' as const, outcome: honest }
      log.say('refused', 'decisions.v1', 'outcome.refused', decision_id, said, { key: grant_id })
      move(log, 'refused', 'denied')
    },
    'and accepted it',
  ],
  ...(['outcome_mismatch', 'outcome_sequence_reused'] as const).map((code): (typeof lies)[number] => [
    `a decision point that does not accept the only outcome of an ALLOW (V10): ${code}`,
    'V10',
    (log) => {
      log.outcome('last done', 'last read', 10, 4, 'succeeded')
      const { decision_id, grant_id, enforcement_point, outcome: honest } = outcome(log, 'last done').data
      log.drafts.delete('last done')
      const said = { decision_id, grant_id, enforcement_point, code, outcome: honest }
      log.say('refused', 'decisions.v1', 'outcome.refused', decision_id, said, { key: grant_id })
      move(log, 'refused', 'denied')
    },
    'contradicts nothing',
  ]),
  [
    'an outcome by another instance than was allowed (V1)',
    'V1',
    (log) => {
      const allow = allowed(log, 'adjust')
      const { instance } = allow.data
      allow.data.instance = `${'Z'.repeat(21)}A`
      log.outcome('adjust done', 'adjust', 5, 1, 'succeeded')
      if (instance) allow.data.instance = instance
    },
    'not about what was allowed',
  ],
  [
    'an outcome of no instance for an ALLOW of one (V1)',
    'V1',
    (log) => {
      const allow = allowed(log, 'adjust')
      const { instance = '' } = allow.data
      delete allow.data.instance
      log.outcome('adjust done', 'adjust', 5, 1, 'succeeded')
      allow.data.instance = instance
    },
    'not about what was allowed',
  ],
  [
    'an outcome of an instance that was never relayed (V15)',
    'V15',
    (log) => {
      log.outcome('not adjusted', 'adjust again', 6, 4, 'not_executed')
    },
    'the outcome before it is missing',
  ],
  [
    'an outcome that was never relayed, although the next one says that it was answered (V15)',
    'V15',
    (log) => {
      log.outcome('not adjusted', 'adjust again', 6, 4, 'not_executed', { answered: 3 })
    },
    'the outcome before it is missing',
  ],
  [
    'an outcome other than the one that the next names (V15)',
    'V15',
    (log) => {
      const { outcome: third } = outcome(log, 'not adjusted').data
      log.outcome('adjust done', 'adjust', 5, 2, 'succeeded', { egress_bytes: 1 })
      outcome(log, 'not adjusted').data.outcome = third
    },
    'is not the one that it names',
  ],
  ...(
    [
      ['an outcome that gives back more money than its effect left', { cost: { EUR: '300.01' } }],
      ['an outcome that gives back less money than its effect left', { cost: { EUR: '299.99' } }],
      ['an outcome that gives back the call beside the money', { calls: 1, cost: { EUR: '300' } }],
    ] as const
  ).map(([name, released]): (typeof lies)[number] => [
    `${name} (V9)`,
    'V9',
    (log) => {
      log.outcome('adjust done', 'adjust', 5, 2, 'succeeded', { cost: { amount: '100', currency: 'EUR' } })
      outcome(log, 'adjust done').data.released = { calls: 0, egress_bytes: 0, ...released }
    },
    'what may have been spent',
  ]),
  [
    'an outcome that gives back what a proxy did out of sight (V9)',
    'V9',
    (log) => {
      log.outcome('adjust done', 'adjust', 5, 2, 'not_observed', { cost: { amount: '100', currency: 'EUR' } })
      outcome(log, 'adjust done').data.released = { calls: 0, egress_bytes: 0, cost: { EUR: '300' } }
    },
    'what may have been spent',
  ],
  [
    'an outcome that gives back what was done in the process of the agent (V9)',
    'V9',
    (log) => {
      const cost = { amount: '100', currency: 'EUR' }
      log.outcome('adjust done', 'adjust', 5, 2, 'succeeded', { cost, enforced_by: 'in_process' })
      outcome(log, 'adjust done').data.released = { calls: 0, egress_bytes: 0, cost: { EUR: '300' } }
    },
    'what may have been spent',
  ],
  [
    'an effect that cost more than was reserved (V9)',
    'V9',
    (log) => {
      log.outcome('adjust done', 'adjust', 5, 2, 'succeeded', { cost: { amount: '400.000001', currency: 'EUR' } })
    },
    '400000001 of 400000000 were spent',
  ],
  [
    'an effect that cost money in a currency of which nothing was reserved (V9)',
    'V9',
    (log) => {
      log.outcome('adjust done', 'adjust', 5, 2, 'succeeded', { cost: { amount: '1', currency: 'USD' } })
    },
    'cost:USD: 1000000 of 0 were spent',
  ],
  [
    'an outcome that gives something back after it was reported missing (V9)',
    'V9',
    (log) => {
      log.outcome('last done', 'last read', 11, 4, 'not_executed')
    },
    'a late outcome returns nothing',
  ],
]

it.each(lies)('finds %s', async (_, rule, lie, detail = '') => {
  using log = await goodLog()
  lie(log)
  const expected = { rule, detail: expect.stringContaining(detail) }
  expect(await findingsOf(log)).toContainEqual(expect.objectContaining(expected))
})

it('treats a number that no outcome reports as answered as still waiting (V15)', async () => {
  using log = await goodLog()
  log.outcome('not adjusted', 'adjust again', 6, 4, 'not_executed', { answered: 2 })
  expect((await findingsOf(log)).filter(({ rule }) => rule === 'V15')).toEqual([])
})

it('accepts that the money goes back that an effect did not cost, and that others spend it (V9)', async () => {
  using log = await goodLog()
  log.outcome('adjust done', 'adjust', 5, 2, 'succeeded', { cost: { amount: '100', currency: 'EUR' } })
  outcome(log, 'adjust done').data.released = { calls: 0, egress_bytes: 0, cost: { EUR: '300' } }
  log.outcome('not adjusted', 'adjust again', 6, 3, 'not_executed')
  const found = await findingsOf(log)
  // The outcome was said later than in the story, so its time is out of order.
  expect(found.filter(({ detail }) => !detail.startsWith('dated before'))).toEqual([])
})
