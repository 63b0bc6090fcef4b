import { expect, it } from 'vitest'
import { allowed, findingsOf, move } from './forge.ts'
import { type GoodLog, goodLog } from './good-log.ts'

// Limited bytes: the amounts that an ALLOW reserves, and that its outcome reports.

const limitOf = (bytes: number) => ({ type: 'custom', properties: { vendor: 'bailiwick', action: 'limit', bytes } })

function limit(log: GoodLog, egress_bytes = 1000): void {
  const { grant } = log.draft<'grants.v1', 'grant.created'>('task grant').data
  ;(grant.authority.budget as { egress_bytes?: number }).egress_bytes = egress_bytes
}

function reserve(log: GoodLog, name: string, egress_bytes: number, most = egress_bytes): void {
  const { data } = allowed(log, name)
  data.reserved = { ...data.reserved, egress_bytes }
  data.obligations = [limitOf(most)]
}

/** The outcome of `read`, before another call is allowed. */
function reported(log: GoodLog, egress_bytes?: number, status: 'succeeded' | 'not_observed' = 'succeeded'): void {
  log.outcome('read done', 'read', 2, 1, status, egress_bytes === undefined ? {} : { egress_bytes })
  move(log, 'read done', 'adjust')
}

const lies: [name: string, lie: (log: GoodLog) => void, detail: string][] = [
  ['an ALLOW that reserves no bytes', () => undefined, 'held to no limit'],
  [
    'an ALLOW whose answer may be longer than what it reserves',
    (log) => reserve(log, 'read', 10, 11),
    'held to no limit',
  ],
  ['an ALLOW that reserves more than there are', (log) => reserve(log, 'read', 1001), '1001 of 1000'],
  [
    'an ALLOW that reserves more than are left',
    (log) => {
      reserve(log, 'read', 600)
      reserve(log, 'adjust', 401)
      reported(log)
    },
    '1001 of 1000',
  ],
  [
    'an ALLOW of bytes that an effect out of sight may have sent',
    (log) => {
      reserve(log, 'read', 600)
      reserve(log, 'adjust', 401)
      reported(log, 0, 'not_observed')
    },
    '1001 of 1000',
  ],
  ['an ALLOW after all were sent', (log) => reported(log, 1000), '1000 of 1000 were sent'],
  ['an ALLOW while the bytes sent are unknown', (log) => reported(log), 'or it is unknown'],
  [
    'an outcome of more than were reserved',
    (log) => {
      reserve(log, 'read', 10)
      reported(log, 11)
    },
    '11 of 10 were sent',
  ],
]

it.each(lies)('finds %s (V9)', async (_, lie, detail) => {
  using log = await goodLog()
  limit(log)
  lie(log)
  const expected = { rule: 'V9', detail: expect.stringContaining(detail) }
  expect(await findingsOf(log)).toContainEqual(expect.objectContaining(expected))
})

it('finds nothing where each call sends what it reserved, or less', async () => {
  using log = await goodLog()
  limit(log)
  reserve(log, 'read', 600)
  for (const name of ['adjust', 'adjust again', 'adjust more', 'last read', 'lost race']) reserve(log, name, 200)
  reported(log, 100) // 500 come back, and the later calls use those
  const findings = await findingsOf(log)
  expect(findings.filter(({ rule }) => rule === 'V9')).toEqual([])
})
