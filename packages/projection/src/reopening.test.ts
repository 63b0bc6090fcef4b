import { expect, it } from 'vitest'
import { at, noon } from './events.fixture.ts'
import type { GrantState } from './grant-state.ts'
import { voidedBy } from './reopening.ts'
import type { RequestRecord } from './request-life.ts'

const request = {
  state: 'approved',
  received: { kind: 'access', not_after: at(1000) },
  approved: { statement_hash: 'H' },
} as RequestRecord
const refused = (reason: string) => ({ refused: new Map([['grt_H', reason]]) }) as unknown as GrantState

it.each(['policy_changed', 'manifest_changed'])('says %s where that voided an approval', (reason) => {
  expect(voidedBy(request, refused(reason), noon + 999)).toBe(reason)
})

it.each<[string, Partial<RequestRecord>, string]>([
  ['was refused for good', {}, 'statement_mismatch'],
  ['is pending', { state: 'pending' }, 'policy_changed'],
  ['is of the registry', { received: { kind: 'registry', not_after: at(1000) } as never }, 'policy_changed'],
  ['was received before this reader began', { received: undefined as never }, 'policy_changed'],
  ['was approved before this reader began', { approved: undefined as never }, 'policy_changed'],
])('says nothing of a request that %s', (_, more, reason) => {
  expect(voidedBy({ ...request, ...more }, refused(reason), noon)).toBeUndefined()
})

it('says nothing of another approval, nor once what was asked for is over', () => {
  expect(voidedBy(request, { refused: new Map() } as unknown as GrantState, noon)).toBeUndefined()
  expect(voidedBy(request, refused('policy_changed'), noon + 1000)).toBeUndefined()
})
