import { grantIdOf } from '@bailiwick/approval-statement'
import { expect, it } from 'vitest'
import type { Approval } from '../context.ts'
import { allEmergencies } from './emergencies.ts'

const hash = 'A'.repeat(43)
const record = {
  id: 'req_1',
  state: 'approved',
  received: { kind: 'access', attestation: { kind: 'emergency' } },
  approved: { statement_hash: hash, statement: { kind: 'approval', not_after: '2026-11-25T10:15:00.000Z' } },
}
const states = (refused: boolean, granted: boolean) => {
  const grants = {
    trees: new Map(granted ? [[grantIdOf(hash), { state: 'active' }]] : []),
    refused: new Map(refused ? [[grantIdOf(hash), 'agent_revoked']] : []),
  }
  const requests = { requests: new Map([[record.id, record]]) }
  const ledger = { requests, grants, revocations: { find: () => undefined } }
  const clock = { now: () => Date.parse('2026-11-25T10:01:00.000Z') }
  return allEmergencies({ projection: { ledger }, clock } as unknown as Approval).map(({ state }) => state)
}

it('shows an emergency as live while its grant is, even if a stolen issuer refused the grant first (V3)', () => {
  expect(states(false, true)).toEqual(['live'])
  expect(states(true, false)).toEqual(['over'])
  expect(states(true, true)).toEqual(['live'])
})
