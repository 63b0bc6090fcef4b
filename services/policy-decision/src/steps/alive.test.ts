import { emptySpend } from '@bailiwick/projection'
import { describe, expect, it } from 'vitest'
import { authorityOf } from '../order/store-amounts.ts'
import { alive, fresh, toolApproved } from './alive.ts'
import { chainReason, holdersOf } from './authority.ts'
import { agent, now, spell, type World, world } from './living-call.fixture.ts'
import { approved, recorded } from './recorded.ts'
import { Steps } from './steps.ts'

const living = Steps.from<never>().step(fresh).step(alive)
const reasonIn = ({ pdp, standing, token, call, kid }: World, steps = living.step(toolApproved)) =>
  steps.take({ ...standing, token, kid, request: call } as never, pdp as never).refused
const found = Steps.from<never>().waits(recorded).waits(approved)
const foundIn = async ({ pdp, token, kid }: World, turn?: object) => {
  const { refused, facts } = await found.takeWaiting({ token, kid, withinMs: 0, turn } as never, pdp as never)
  const { tree, grant, approverIds, stepUps } = facts
  return refused ?? { tree, grant, approverIds, stepUps }
}

describe('why a call is dead, each for its own reason', () => {
  it.each<[reason: string | undefined, change: (w: World) => unknown]>([
    [undefined, () => undefined],
    ['state_stale', (w) => Object.assign(w.pdp, { fresh: false })],
    ['grant_agent_mismatch', (w) => Object.assign(w.tree, { grant: structuredClone(w.grant) })],
    ['grant_agent_mismatch', (w) => Object.assign(w.grant, { agent: `${agent}x` })],
    ['grant_agent_mismatch', (w) => Object.assign(w.call.subject, { id: `${agent}x` })],
    ['grant_agent_mismatch', (w) => Object.assign(w.token.cnf, { jkt: 'another' })],
    ['authority_not_understood', (w) => Object.assign(w.grant.authority, { type: 'another' })],
    ['delegation_invalid', (w) => Object.assign(w.token.grant, { delegation: 'dlg_1' })],
    ['delegation_invalid', (w) => Object.assign(w.token, { act: { sub: 'spiffe://example.org/agent/b/i1' } })],
    ['approval_unverified', (w) => w.approvers.clear()],
    ['credential_revoked', (w) => w.revoke('credential', 'crd_1')],
    ['grant_revoked', (w) => w.revoke('grant', 'grt_1')],
    ['agent_revoked', (w) => w.revoke('agent', agent)],
    ['approver_revoked', (w) => w.revoke('approver', 'eve')],
    ['tool_server_revoked', (w) => w.revoke('tool-server', 'erp')],
    ['everything_revoked', (w) => w.revoke('all', 'all')],
    ['grant_not_started', (w) => Object.assign(w.grant, { not_before: spell(now + 1) })],
    ['grant_expired', (w) => Object.assign(w.grant, { not_after: spell(now) })],
    ['credential_expired', (w) => Object.assign(w.token, { exp: now / 1000 })],
    ['agent_revoked', (w) => w.instances.clear()],
    ['grant_not_active', (w) => Object.assign(w.tree, { state: 'suspended' })],
    ['grant_not_active', (w) => Object.assign(w.tree, { state: 'completed' })],
    ['manifest_changed', (w) => Object.assign(w.servers, { erp: { manifest: 'm2' } })],
    // The grant is suspended because of this, but the reason names the cause that an agent can act on.
    [
      'manifest_changed',
      (w) => Object.assign(w.tree, { state: 'suspended' }) && Object.assign(w.servers, { erp: { manifest: 'm2' } }),
    ],
    // The manifest of any server that humans signed counts, even if the call uses another resource.
    [
      'manifest_changed',
      (w) =>
        Object.assign(w.tree, { state: 'suspended' }) &&
        Object.assign(w.grant.statement.manifests, { crm: 'm1' }) &&
        Object.assign(w.servers, { crm: { manifest: 'm2' } }) &&
        Object.assign(w.call, { resource: { type: 'api', id: 'https://h/' } }),
    ],
    [
      'manifest_changed',
      (w) =>
        Object.assign(w.tree, { state: 'suspended' }) &&
        Object.assign(w.grant.statement.manifests, { gone: 'm1' }) &&
        Object.assign(w.call, { resource: { type: 'api', id: 'https://h/' } }),
    ],
    // A server that was unknown when the humans signed must be unknown now.
    [
      'manifest_changed',
      (w) =>
        Object.assign(w.call, { resource: { type: 'tool', id: 'new/x' } }) &&
        Object.assign(w.servers, { new: { manifest: 'm' } }),
    ],
    // What the enforcement point read of the server counts as well.
    ['manifest_changed', (w) => Object.assign(w.call, { observed: { manifest: 'm2' } })],
    [undefined, (w) => Object.assign(w.call, { observed: { manifest: w.grant.statement.manifests.erp } })],
    [
      undefined,
      (w) => Object.assign(w.call, { observed: { manifest: 'm2' }, resource: { type: 'api', id: 'https://h/' } }),
    ],
    [undefined, (w) => Object.assign(w.call, { resource: { type: 'tool', id: 'unknown/x' } })],
    [undefined, (w) => Object.assign(w.call, { resource: { type: 'api', id: 'erp/x' } })],
  ])('%s', (reason, change) => {
    const w = world()
    change(w)
    expect(reasonIn(w)).toBe(reason)
  })

  it('a tool that was not granted has not changed: the authority check refuses it', () => {
    const w = world()
    Object.assign(w.call, { resource: { type: 'tool', id: 'new/x' } })
    Object.assign(w.servers, { new: { manifest: 'm' } })
    expect(reasonIn(w, living as never)).toBeUndefined()
    expect(reasonIn(w)).toBe('manifest_changed')
  })

  it('one action that was done is used up, and not merely over', () => {
    const over = (mode: string, state: string, calls: bigint) => {
      const w = world()
      Object.assign(w.grant, { mode })
      Object.assign(w.tree, { state })
      const spend = emptySpend()
      spend.taken.calls = calls
      w.spends.set('grt_1', spend)
      return reasonIn(w)
    }
    expect(over('per_action', 'completed', 1n)).toBe('uses_exhausted')
    expect(over('per_action', 'completed', 0n)).toBe('grant_not_active')
    expect(over('per_action', 'withdrawn', 1n)).toBe('grant_not_active')
    expect(over('window', 'completed', 1n)).toBe('grant_not_active')
  })
})

describe('what a call stands on', () => {
  it('is the tree, the grant that was verified and who signed it', async () => {
    const w = world()
    expect(await foundIn(w)).toEqual({ tree: w.tree, grant: w.grant, approverIds: ['eve'], stepUps: [] })
  })

  it.each<[reason: string, change: (w: World) => unknown]>([
    ['grant_unknown', (w) => Object.assign(w.token.grant, { root: 'grt_2' })],
    ['credential_unrecorded', (w) => Object.assign(w.token, { jti: 'crd_2' })],
    ['credential_unrecorded', (w) => Object.assign(w, { kid: 'another' })],
    ['approval_unverified', (w) => Object.assign(w.pdp.approvals, { of: async () => ({ ok: false }) })],
  ])('there is nothing: %s', async (reason, change) => {
    const w = world()
    change(w)
    expect(await foundIn(w)).toBe(reason)
  })

  it('is not recorded before its intent is folded (V4), and a call that waits for it leaves its turn to others (V18)', async () => {
    const w = world()
    let left = 0
    const turn = { leave: () => left++ }
    expect(await foundIn(w, turn)).toMatchObject({ approverIds: ['eve'] })
    expect(left).toBe(0)
    w.tree.credentials.clear()
    expect(await foundIn(w, turn)).toBe('credential_unrecorded')
    Object.assign(w.token.grant, { root: 'grt_2' })
    expect(await foundIn(w, turn)).toBe('grant_unknown')
    expect(left).toBe(2)
  })
})

it('a grant that is not understood has no authority and no holders, and says so (V13)', () => {
  const w = world()
  const holders = () => holdersOf(w.pdp as never, w.tree as never, w.token as never)
  expect(holders()).toMatchObject({ ok: true, holders: [{ agent, jkt: 'jkt' }] })
  const first = authorityOf(w.grant as never)
  expect(first).toMatchObject({ task: 't' })
  expect(authorityOf(w.grant as never)).toBe(first)
  const strange = { ...w.grant, authority: { ...w.grant.authority, type: 'another' } }
  Object.assign(w.tree, { grant: strange })
  expect(holders()).toEqual({ ok: false, reason: 'authority_not_understood' })
  expect(authorityOf(strange as never)).toBeUndefined()
  expect(chainReason('unknown')).toBe('delegation_invalid')
})
