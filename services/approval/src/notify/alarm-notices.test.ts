import type { DecodedEvent } from '@bailiwick/contracts'
import { expect, it } from 'vitest'
import type { Approval } from '../context.ts'
import { alarmNotice } from './alarm-notices.ts'

const people = ['anna', 'olga', 'paul'].map((id) => ({ id, name: id, groups: [], credentials: [] }))

function approvalOf(single_operator = false, rules: readonly object[] = [], groups: readonly string[] = []) {
  const passkey = (id: string) => ({ approver: people.find((each) => each.id === id) })
  const view = () => ({ approvers: new Map([['paul', { groups }]]) })
  const ledger = { registry: { approvers: people, passkey, all: () => rules, view } }
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

const ofEmergency = (type: string, data: object) =>
  ({ id: 'evt_1', type, time: '2026-11-25T10:00:00.000Z', subject: 'req_1', data }) as unknown as DecodedEvent

it('tells all approvers of an emergency: that it was opened, is live, and is over (V3)', () => {
  const approval = approvalOf()
  const asked = { kind: 'access', agent: 'spiffe://a/emergency/anna/key', not_after: '2026-11-25T10:15:00.000Z' }
  const opened = (kind: string) => ofEmergency('request.received', { ...asked, attestation: { kind } })
  const grant = (emergency: boolean) => ({
    request_id: 'req_1',
    statement: { agent: asked.agent, not_after: asked.not_after, ...(emergency ? { emergency } : {}) },
    assertions: [{ credential_id: 'paul' }, { credential_id: 'anna' }],
  })
  const to = ['anna', 'olga', 'paul']
  expect(alarmNotice(approval, 'approvals.v1', opened('emergency'))).toMatchObject({ kind: 'emergency_opened', to })
  expect(alarmNotice(approval, 'approvals.v1', opened('join_token'))).toBeUndefined()
  const told = (type: string, is = true) => alarmNotice(approval, 'grants.v1', ofEmergency(type, { grant: grant(is) }))
  expect(told('grant.created')).toMatchObject({ kind: 'emergency_granted', to })
  expect(told('grant.created')?.lines).toContain('Signed by anna and paul')
  for (const type of ['grant.completed', 'grant.expired'])
    expect(told(type)).toMatchObject({ kind: 'emergency_over', to })
  for (const type of ['grant.created', 'grant.completed']) expect(told(type, false)).toBeUndefined()
})

it('tells all approvers that a rule for emergencies changed (V3)', () => {
  const value = { id: 'break-glass', approvers: { group: 'break_glass', quorum: 2 } }
  const rule = (more: object) => ofEmergency('rule.registered', { value: { ...value, ...more } })
  const told = alarmNotice(approvalOf(), 'registry.v1', rule({ emergency: { permissions: [], budget: {} } }))
  expect(told).toMatchObject({ kind: 'emergency_rule_changed', to: ['anna', 'olga', 'paul'] })
  expect(alarmNotice(approvalOf(), 'registry.v1', rule({}))).toBeUndefined()
})

it('tells all approvers who may open an emergency from now on (V3)', () => {
  const value = { id: 'spiffe://a/emergency/mallory', owner: 'mallory' }
  for (const type of ['agent.registered', 'agent.changed']) {
    const told = (kind: string) =>
      alarmNotice(approvalOf(), 'registry.v1', ofEmergency(type, { value: { ...value, attestor: { kind } } }))
    expect(told('emergency')).toMatchObject({
      kind: 'emergency_rule_changed',
      subject: expect.stringContaining('Emergencies: mallory may act as'),
      to: ['anna', 'olga', 'paul'],
    })
    expect(told('join_token')).toBeUndefined()
  }
  const rule = { approvers: { group: 'break_glass' }, emergency: {} }
  const event = changed('approver.changed', ['anna', 'olga'])
  const joining = {
    ...event,
    data: { ...event.data, value: { ...people[2], groups: ['break_glass'] } },
  } as DecodedEvent
  const told = (rules: readonly object[], before: readonly string[]) =>
    alarmNotice(approvalOf(false, rules, before), 'registry.v1', joining)
  expect(told([rule], [])?.subject).toBe('Emergencies: paul is of the group break_glass')
  expect(told([rule], ['break_glass'])).toBeUndefined()
  expect(told([{ ...rule, emergency: undefined }], [])).toBeUndefined()
})
