import { type AllowRecord, emptySpend, type TreeSpend } from '@bailiwick/projection'
import { expect, it } from 'vitest'
import { pointsWithoutInstance } from './points-without-instance.ts'

const hourMs = 3600 * 1000

it('names each enforcement point that was allowed something without an instance in the last hour (V1)', () => {
  const allows = [
    { enforcementPoint: 'b-api', at: 2 * hourMs },
    { enforcementPoint: 'a-api', at: hourMs + 1 },
    { enforcementPoint: 'a-api', at: 2 * hourMs },
    { enforcementPoint: 'long-ago', at: hourMs },
    { enforcementPoint: 'replicas', at: 2 * hourMs, instance: 'one' },
  ]
  const trees = allows.map((allow, n): [string, TreeSpend] => [
    `grt_${n}`,
    { ...emptySpend(), allows: new Map([[`dec_${n}`, allow as AllowRecord]]) },
  ])
  expect(pointsWithoutInstance({ ledger: { decisions: { trees: new Map(trees) } } }, 2 * hourMs)).toEqual([
    'a-api',
    'b-api',
  ])
})
