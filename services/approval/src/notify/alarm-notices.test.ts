import type { DecodedEvent } from '@bailiwick/contracts'
import { expect, it } from 'vitest'
import type { Approval } from '../context.ts'
import { alarmNotice } from './alarm-notices.ts'

const people = ['anna', 'olga', 'paul'].map((id) => ({ id, name: id, groups: [], credentials: [] }))

function approvalOf(single_operator = false) {
  const passkey = (id: string) => ({ approver: people.find((each) => each.id === id) })
  const ledger = { registry: { approvers: people, passkey } }
  return {
    projection: { ledger },
    trust: { single_operator },
    publicUrl: 'http://localhost:8421',
  } as unknown as Approval
}

const changed = (type: 'approver.registered' | 'approver.changed', signers: readonly string[], kind = 'approvers') =>
  ({
    id: 'evt_1',
    type,
    time: '2026-11-25T10:00:00.000Z',
    data: {
      value: people[2],
      authorization: { kind, assertions: signers.map((credential_id) => ({ credential_id })) },
    },
  }) as unknown as DecodedEvent

it.each([
  ['approver.registered', 'olga enrolled the second approver, paul, alone'],
  ['approver.changed', 'olga let paul into the group that may change the registry, alone'],
] as const)('tells all approvers of one whom one person let in alone: %s (V3)', (type, subject) => {
  const told = alarmNotice(approvalOf(), 'registry.v1', changed(type, ['olga', 'olga']))
  expect(told).toMatchObject({ kind: 'approver_enrolled_alone', subject, to: ['anna', 'olga', 'paul'] })
  expect(told?.lines.join()).toContain('only olga approved that')
})

it.each(['approver.registered', 'approver.changed'] as const)('says nothing of what two signed: %s', (type) => {
  expect(alarmNotice(approvalOf(), 'registry.v1', changed(type, ['olga', 'anna']))).toBeUndefined()
  expect(alarmNotice(approvalOf(true), 'registry.v1', changed(type, ['olga']))).toBeUndefined()
  expect(alarmNotice(approvalOf(), 'registry.v1', changed(type, [], 'invitation'))).toBeUndefined()
})
