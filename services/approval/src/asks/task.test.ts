import type { RequestRecord } from '@bailiwick/projection'
import { expect, it } from 'vitest'
import type { Approval } from '../context.ts'
import { taskOf, togetherOf } from './task.ts'

const hash = 'A'.repeat(43)
const grantId = `grt_${hash}`

function statusOf(state: RequestRecord['state'], grants: { trees?: string[]; refused?: string[] } = {}) {
  const ledger = {
    grants: {
      trees: new Map(grants.trees?.map((id) => [id, {}])),
      refused: new Map(grants.refused?.map((id) => [id, 'approval_not_narrower'])),
    },
  }
  const approval = { publicUrl: 'http://localhost', clock: { now: () => 0 }, projection: { ledger } }
  const approved = { statement: { kind: 'approval', not_after: '2026-11-24T12:00:00.000Z' }, statement_hash: hash }
  const record = { id: 'req_1', state, changedAt: 0, endorsements: [], version: 2, approved }
  const { task, result } = taskOf(approval as unknown as Approval, [record as unknown as RequestRecord])
  return { status: task.status, grantId: result?.approval.grant_id }
}

it('is approved once there is a grant, and not before (V2)', () => {
  expect(statusOf('approved')).toEqual({ status: 'pending', grantId: undefined })
  expect(statusOf('approved', { trees: [grantId] })).toEqual({ status: 'approved', grantId })
  expect(statusOf('approved', { refused: [grantId] })).toEqual({ status: 'failed', grantId: undefined })
})

it('gives no result of what was taken back', () => {
  for (const state of ['withdrawn', 'cancelled'] as const)
    expect(statusOf(state, { trees: [grantId] })).toEqual({ status: 'cancelled', grantId: undefined })
  for (const state of ['denied', 'expired'] as const) expect(statusOf(state).status).toBe(state)
})

it('says of several parts what they have in common', () => {
  expect(togetherOf(['approved', 'pending'])).toBe('pending')
  expect(togetherOf(['approved', 'approved'])).toBe('approved')
  expect(togetherOf(['denied', 'denied'])).toBe('denied')
  expect(togetherOf(['approved', 'denied'])).toBe('partial')
  expect(togetherOf(['cancelled', 'expired'])).toBe('partial')
})
