import { sample } from '@bailiwick/standalone/sample'
import type { Rule } from '@bailiwick/verify/audit'
import { expect, it } from 'vitest'
import { allowed, findingsOf } from './forge.ts'
import { type GoodLog, goodLog } from './good-log.ts'

// As in lies.test.ts: the owners for whom an ALLOW counts, besides its task and its agents.

const lies: readonly [name: string, rule: Rule, lie: (log: GoodLog) => void, detail: string][] = [
  [
    'an ALLOW that counts for a person who owns none of its agents (V3)',
    'V3',
    (log) => {
      allowed(log, 'adjust').data.owners = [sample.owner, 'somebody-else']
    },
    'others than the owners',
  ],
  [
    'an ALLOW that does not count for its agent’s owner (V3)',
    'V3',
    (log) => {
      allowed(log, 'adjust').data.owners = ['somebody-else']
    },
    'others than the owners',
  ],
  [
    'an ALLOW that names no owner, after others that do (V3)',
    'V3',
    (log) => {
      delete allowed(log, 'adjust').data.owners
    },
    'does not name the owners',
  ],
]

it.each(lies)('finds %s', async (_, rule, lie, detail) => {
  using log = await goodLog()
  lie(log)
  const expected = { rule, detail: expect.stringContaining(detail) }
  expect(await findingsOf(log)).toContainEqual(expect.objectContaining(expected))
})
