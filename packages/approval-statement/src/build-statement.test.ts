import { approvalStatementSchema } from '@bailiwick/contracts'
import { expect, it } from 'vitest'
import { buildRegistryStatement } from './build-statement.ts'
import { anApprover, aPasskey, aRule, aStatement, iso, now, trust } from './samples.test-data.ts'
import { groupHash } from './statement-hash.ts'

const anna = anApprover('anna', ['finance'], aPasskey())
const approvers = [anna]

it('says what it was given, and derives the rest', () => {
  const statement = aStatement({ approvers, rule: aRule({ approvers: { group: 'finance', quorum: 2 } }) })
  expect(approvalStatementSchema.parse(statement)).toEqual(statement)
  expect(statement).toMatchObject({
    v: 1,
    kind: 'approval',
    rule: { id: 'finance', quorum: 2, group: 'finance', group_hash: groupHash('finance', approvers) },
    issued_at: iso(now),
  })
  expect(aStatement({ approvers })).toEqual(aStatement({ approvers }))
})

it.each<[string, Partial<Parameters<typeof aStatement>[0]>]>([
  ['an unknown member', { purpose: 'x' } as object],
  ['a nonce that can be guessed', { nonce: 'AAAA' }],
  ['one action without its digest', { mode: 'per_action' }],
  ['a window with a digest', { action_digest: `${'d'.repeat(42)}A` }],
  ['a continuous window without its evidence', { mode: 'continuous' }],
  ['a window with evidence', { continuous: { reattest_seconds: 1, outcome_seconds: 1 } }],
  ['a time that is none', { not_after: '2026-02-30T00:00:00.000Z' }],
])('refuses %s', (_, over) => {
  expect(() => aStatement({ approvers, ...over })).toThrow(expect.objectContaining({ code: 'request_malformed' }))
})

it('refuses a registry statement that changes nothing', () => {
  const facts = {
    installation: trust.installation,
    change_id: 'req_01234567890123456789',
    proposer: 'olga',
    not_after: iso(now),
    nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
    now,
  }
  expect(() => buildRegistryStatement({ ...facts, entities: [] })).toThrow(
    expect.objectContaining({ code: 'request_malformed' }),
  )
})
