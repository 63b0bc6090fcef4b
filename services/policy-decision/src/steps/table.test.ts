import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cedarEngine, type Duties, dutiesOf, type PolicyEngine, parsePolicySet, type Shape } from '@bailiwick/policy'
import { emptySpend } from '@bailiwick/projection'
import { describe, expect, it } from 'vitest'
import type { StepUp } from '../state/step-ups.ts'
import { agent, now, spell, type World, world } from './living-call.fixture.ts'
import { covered, permitted } from './table.ts'

const permit = '@id("all") permit (principal, action, resource);'
const schema = readFileSync(join(import.meta.dirname, '../../../../policies/schema.cedarschema'))
const errs =
  '@id("x") forbid (principal, action == Action::"tools/call", resource) when { 9223372036854775807 + context.grant.approvers > 0 };'
const sub = 'spiffe://example.org/agent/b/i1'

/** Each set is loaded once, because Cedar keeps it for ever. */
const sets = new Map<string, { engine: PolicyEngine; dutiesOf: (ids: Iterable<string>) => Duties }>()
function setOf(text: string) {
  const known = sets.get(text)
  if (known) return known
  const files = new Map([
    ['schema.cedarschema', schema],
    ['a.cedar', Buffer.from(text)],
  ])
  const { policies } = parsePolicySet(files)
  const set = { engine: cedarEngine(files), dutiesOf: (ids: Iterable<string>) => dutiesOf(policies, ids) }
  sets.set(text, set)
  return set
}

/** The same world, with a policy set and a claim. */
function asked(...policies: string[]) {
  const w = world()
  const active = { hash: 'set', ...setOf([permit, ...policies].join('\n')) }
  const warned: object[] = []
  const found: StepUp[] = []
  Object.assign(w.pdp, {
    policies: { current: (): object | undefined => active },
    logger: { warn: (about: object) => warned.push(about) },
    stepUps: { of: async () => [], find: () => found[0], counts: () => true },
  })
  for (const agents of w.instances.values()) Object.assign(agents.agent, { owner: 'o', labels: ['trusted'] })
  const claim = { token: w.token, kid: w.kid, digest: 'digest', proof: 'agent_signed', proofId: 'proof' }
  const request = { ...w.call, action: { name: 'tools/call', properties: {} }, observed: {}, supported: undefined }
  return { ...w, claim, request, active, warned, found }
}
type Asked = ReturnType<typeof asked>

describe('what a call is covered by', () => {
  const cover = async (w: Asked, turn?: object) => {
    const given = { ...w.claim, request: w.request, withinMs: 0, turn }
    const { refused, facts } = await covered.takeWaiting(given as never, w.pdp as never)
    return refused ?? { approverIds: facts.approverIds, levels: facts.levels }
  }

  it('is the authority of every holder, on what stands', async () => {
    const w = asked()
    expect(await cover(w)).toMatchObject({
      approverIds: ['eve'],
      levels: [{ holder: { agent }, covering: [{ index: 0 }] }],
    })
  })

  it.each<[reason: string, change: (w: Asked) => unknown]>([
    ['state_stale', (w) => Object.assign(w.pdp, { fresh: false })],
    ['grant_unknown', (w) => Object.assign(w.token.grant, { root: 'grt_2' })],
    ['grant_expired', (w) => Object.assign(w.grant, { not_after: spell(now) })],
    ['action_not_granted', (w) => Object.assign(w.request.action, { name: 'other' })],
    ['action_not_granted', (w) => Object.assign(w.grant, { mode: 'per_action' })],
    // A registered server that the grant does not cover.
    [
      'action_not_granted',
      (w) =>
        Object.assign(w.servers, { new: { manifest: 'm' } }) &&
        Object.assign(w.request, { resource: { type: 'tool', id: 'new/x' } }),
    ],
    // Granted while the server was unknown: no approver has seen its present manifest.
    ['manifest_changed', (w) => Object.assign(w.grant.statement, { manifests: {} })],
    ['manifest_changed', (w) => Object.assign(w.servers, { erp: { manifest: 'm2' } })],
  ])('or there is none: %s', async (reason, change) => {
    const w = asked()
    change(w)
    expect(await cover(w)).toBe(reason)
  })

  it('is refused by the first step that refuses', async () => {
    const faults: [reason: string, change: (w: Asked) => unknown][] = [
      ['state_stale', (w) => Object.assign(w.pdp, { fresh: false })],
      ['credential_unrecorded', (w) => Object.assign(w.claim, { kid: 'another' })],
      ['approval_unverified', (w) => Object.assign(w.pdp.approvals, { of: async () => ({ ok: false }) })],
      ['grant_expired', (w) => Object.assign(w.grant, { not_after: spell(now) })],
      ['argument_out_of_bounds', (w) => Object.assign(w.grant.authority, { permissions: [bounded] })],
      ['action_not_granted', (w) => Object.assign(w.grant, { mode: 'per_action' })],
      ['manifest_changed', (w) => Object.assign(w.grant.statement, { manifests: {} })],
    ]
    const bounded = {
      ...{ actions: ['tools/call'], resource: { type: 'tool', id: 'erp/read' } },
      where: { '/n': { max: '1' } },
    }
    for (const [n, [reason]] of faults.entries()) {
      const w = asked()
      for (const [, change] of faults.slice(n)) change(w)
      expect(await cover(w)).toBe(reason)
    }
  })

  it('of a grant for one action is that action, by its digest (V3)', async () => {
    const w = asked()
    Object.assign(w.grant, { mode: 'per_action' })
    Object.assign(w.grant.statement, { action_digest: 'digest' })
    expect(await cover(w)).toMatchObject({ approverIds: ['eve'] })
    Object.assign(w.claim, { digest: 'another' })
    expect(await cover(w)).toBe('action_not_granted')
  })

  it('is granted together with what the tool’s declared mapping makes of it, at every level and without limits (V3)', async () => {
    const w = asked()
    const mapped = [{ name: 'read_customer', resource: { type: 'customer', id: 'c1' } }]
    Object.assign(w.request, { observed: { mapped } })
    expect(await cover(w)).toBe('mapped_not_granted')
    const permission = { actions: ['read_customer'], resource: { type: 'customer', id: 'c1' } }
    for (const [limits, reason] of [
      [{}, undefined],
      [{ max_uses: 1 }, 'mapped_not_granted'],
      [{ where: { '/n': { max: '1' } } }, 'mapped_not_granted'],
      [{ resource: { type: 'customer', id: 'c2' } }, 'mapped_not_granted'],
    ] as const) {
      const other = asked()
      Object.assign(other.request, { observed: { mapped } })
      other.grant.authority.permissions.push({ ...permission, ...limits } as never)
      const said = await cover(other)
      expect(typeof said === 'string' ? said : undefined).toBe(reason)
    }
  })

  it('of state that is stale waits for nothing', async () => {
    const w = asked()
    w.tree.credentials.clear()
    Object.assign(w.pdp, { fresh: false })
    let left = 0
    expect(await cover(w, { leave: () => left++ })).toBe('state_stale')
    expect(left).toBe(0)
    Object.assign(w.pdp, { fresh: true })
    expect(await cover(w, { leave: () => left++ })).toBe('credential_unrecorded')
    expect(left).toBe(1)
  })
})

describe('what an action would take', () => {
  const authority = (w: World) => ({
    ...w.grant.authority,
    permissions: w.grant.authority.permissions,
    budget: {} as { calls?: number; egress_bytes?: number },
    max_depth: 0,
    max_children: 0,
  })
  function spend(w: Asked, view = emptySpend(), agents = [agent], budget = {}) {
    const levels = agents.map((each, n) => ({
      holder: { id: n === 0 ? 'grt_1' : `dlg_${n}`, agent: each, authority: { ...authority(w), budget } },
      covering: [{ index: 0 }],
    }))
    const question = { ...w.claim, ...w.standing, levels, request: w.request, view }
    return permitted.take(question as never, w.pdp as never)
  }
  const reasonOf = ({ refused }: ReturnType<typeof spend>) => refused ?? 'allow'

  it('is judged by the policies, which the answer names, with the hash of their set', () => {
    const w = asked()
    expect(spend(w).facts).toMatchObject({
      ...{ labels: ['unlabelled'], policies: ['all'], wantsHuman: false },
      reservation: { permissions: [0] },
      duties: { redact: [], notify: [] },
      asked: { policySet: 'set', action: 'tools/call', outcome: 'allow' },
    })
    expect(spend(w).facts.duties).toStrictEqual({ redact: [], notify: [] })
  })

  it.each<[reason: string, policies: string[], change: (w: Asked) => unknown]>([
    ['grant_expired', [], (w) => Object.assign(w.grant, { not_after: spell(now) })],
    ['policy_error', [], (w) => Object.assign(w.pdp, { policies: { current: () => undefined } })],
    ['policy_error', [errs], () => undefined],
    ['policy_denied', ['@id("x") forbid (principal, action, resource);'], () => undefined],
    ['step_up_required', ['@id("x") @step_up("y") forbid (principal, action, resource);'], () => undefined],
    [
      'obligation_unsupported',
      ['@id("x") @redact("a") permit (principal, action, resource);'],
      (w) => Object.assign(w.request, { supported: [] }),
    ],
  ])('or there is none: %s', (reason, policies, change) => {
    const w = asked(...policies)
    change(w)
    expect(reasonOf(spend(w))).toBe(reason)
  })

  it('is refused by the first step that refuses', () => {
    const faults: [reason: string, change: (w: Asked) => unknown][] = [
      ['state_stale', (w) => Object.assign(w.pdp, { fresh: false })],
      ['grant_expired', (w) => Object.assign(w.grant, { not_after: spell(now) })],
      ['manifest_changed', (w) => Object.assign(w.grant.statement, { manifests: {} })],
      ['policy_denied', (w) => Object.assign(w.active, setOf('@id("x") forbid (principal, action, resource);'))],
      ['step_up_required', (w) => Object.assign(w.active, setOf(`${permit} ${wantsHuman}`))],
      ['uses_exhausted', (w) => Object.assign(w.grant, { mode: 'per_action' })],
      ['budget_exhausted', () => undefined],
    ]
    const wantsHuman = '@id("x") @step_up("y") forbid (principal, action, resource);'
    const view = emptySpend()
    view.taken.calls = 1n
    for (const [n, [reason]] of faults.entries()) {
      const w = asked('@id("o") @redact("a") permit (principal, action, resource);')
      Object.assign(w.request, { supported: [] })
      for (const [, change] of faults.slice(n).toReversed()) change(w)
      expect(reasonOf(spend(w, view, [agent], { calls: 1 }))).toBe(reason)
      if (n === faults.length - 1) expect(reasonOf(spend(w))).toBe('obligation_unsupported')
    }
  })

  it('says by which policies it was refused, and what was asked of them', () => {
    expect(spend(asked('@id("x") forbid (principal, action, resource);'))).toMatchObject({
      because: { policies: ['x'], duties: { redact: [] } },
      facts: { asked: { outcome: 'deny' } },
    })
    expect(spend(asked(errs))).toMatchObject({
      because: { policies: ['x'] },
      facts: { asked: { outcome: 'error' } },
    })
    const w = asked()
    Object.assign(w.request.action, { name: '' })
    const invalid = (why: object) => {
      Object.assign(w.active, {
        engine: { context: () => undefined, evaluate: () => ({ outcome: 'invalid', ...why }) },
      })
    }
    invalid({ why: 'x'.repeat(400) })
    expect(spend(w)).toMatchObject({ refused: 'request_invalid', facts: { asked: { outcome: 'invalid' } } })
    expect(w.warned).toEqual([{ policy_set: 'set', why: 'x'.repeat(300) }])
    invalid({})
    expect(reasonOf(spend(w))).toBe('request_invalid')
  })

  it('is what every agent of the chain may do, and none without an agent that is known', () => {
    const w = asked('@id("x") forbid (principal == agent::"spiffe://example.org/agent/b", action, resource);')
    expect(reasonOf(spend(w))).toBe('allow')
    expect(reasonOf(spend(w, emptySpend(), [agent, sub]))).toBe('agent_revoked')
    w.instances.set(sub, { agent: { id: 'spiffe://example.org/agent/b', owner: 'o', labels: [] } as never })
    expect(reasonOf(spend(w, emptySpend(), [agent, sub]))).toBe('policy_denied')
  })

  it('counts for the owner of every agent of the chain, each once (V8)', () => {
    const w = asked()
    const ownersOf = (owner: string) => {
      w.instances.set(sub, { agent: { id: 'spiffe://example.org/agent/b', owner, labels: [] } as never })
      return spend(w, emptySpend(), [agent, sub]).facts.owners
    }
    expect([ownersOf('another'), ownersOf('o')]).toEqual([['o', 'another'], ['o']])
  })

  it('shows policies who acts, on what, when and under what', () => {
    const w = asked()
    Object.assign(w.grant.authority, { task: 't' })
    Object.assign(w.grant, { not_after: spell(now + 59_999) })
    const verdict = spend(w)
    const [first, ...others] = [...(verdict.facts.asked?.requests(undefined) ?? [])]
    expect(others).toEqual([])
    expect(first).toEqual({
      principal: {
        type: 'agent',
        id: 'spiffe://example.org/agent/a',
        attributes: { instance: agent, owner: 'o', labels: ['trusted'] },
      },
      action: 'tools/call',
      resource: { type: 'tool', id: 'erp/read', attributes: { labels: ['unlabelled'], server: 'erp' } },
      context: {
        grant: { id: 'grt_1', task: 't', mode: 'window', approvers: 1, seconds_left: 59 },
        proof: 'agent_signed',
        time: { hour: 12, weekday: 3 },
        history: {},
      },
    })
    Object.assign(w.request, { resource: { type: 'api', id: 'https://erp.example/v1/a' } })
    const [api] = [...(spend(w).facts.asked?.requests(undefined) ?? [])]
    expect(api?.resource.attributes).toEqual({ labels: [], server: '' })
  })

  it('shows policies what was done before, and how deep it was passed on', () => {
    const w = asked()
    Object.assign(w.pdp.projection.ledger.decisions, { denials: { of: (root: string) => (root === 'grt_1' ? 4 : 0) } })
    w.instances.set(sub, { agent: { id: 'spiffe://example.org/agent/b', owner: 'o', labels: [] } as never })
    const record = (members: object): Shape => ({
      ...{ kind: 'Record', members: new Map(Object.entries(members)), optional: new Set() },
    })
    const task = record({ depth: { kind: 'Long' }, denials: { kind: 'Long' } })
    const depths = (...agents: string[]) => {
      const asked = spend(w, emptySpend(), agents).facts.asked?.requests(record({ task })) ?? []
      return [...asked].map(({ context }) => context)
    }
    expect(depths(agent)).toMatchObject([{ history: { task: { depth: 0, denials: 4 } } }])
    const under = { history: { task: { depth: 1, denials: 4 } } }
    expect(depths(agent, sub)).toMatchObject([under, under])
  })

  it('says of many policies as many as an event has room for', () => {
    const w = asked()
    const policies = Array.from({ length: 65 }, (_, n) => `p${n}`)
    Object.assign(w.active, {
      engine: { context: () => undefined, evaluate: () => ({ outcome: 'allow', policies }) },
      dutiesOf: () => ({ redact: [], notify: [] }),
    })
    expect(spend(w).facts.policies).toEqual(policies.slice(0, 64))
  })

  it('that policies want a human for is allowed once there is one (V10)', () => {
    const w = asked('@id("x") @step_up("y") @notify("ops") forbid (principal, action, resource);')
    expect(spend(w)).toMatchObject({
      refused: 'step_up_required',
      because: { policies: ['x'], duties: { notify: [{ to: 'ops' }] }, needs: 'action' },
    })
    const stepUp = { requestId: 'req_1', approvedAt: now, approverIds: [] } as unknown as StepUp
    w.found.push(stepUp)
    expect(spend(w)).toMatchObject({ refused: undefined, facts: { stepUp, wantsHuman: true, duties: { notify: [] } } })
  })

  it('of one approved action is taken once (V10)', () => {
    const w = asked()
    const view = emptySpend()
    view.taken.calls = 1n
    expect(reasonOf(spend(w, view))).toBe('allow')
    Object.assign(w.grant, { mode: 'per_action' })
    expect(spend(w, view)).toMatchObject({ refused: 'uses_exhausted', facts: { asked: { outcome: 'allow' } } })
    view.held.calls = 1n
    expect(spend(w, view)).toMatchObject({ refused: 'uses_reserved', facts: { asked: { outcome: 'allow' } } })
    view.held.calls = 0n
    view.taken.calls = 0n
    expect(reasonOf(spend(w, view))).toBe('allow')
  })

  it('of a grant that must stay fresh waits for a human, and its outcome is due in time', () => {
    const w = asked('@id("x") @report_outcome_by("30") permit (principal, action, resource);')
    const due = (seconds: number) => {
      Object.assign(w.grant, { mode: 'continuous' })
      Object.assign(w.grant.statement, { continuous: { reattest_seconds: 90, outcome_seconds: seconds } })
      const verdict = spend(w)
      return verdict.refused ?? verdict.facts.duties.reportSeconds
    }
    expect(due(20)).toBe(20)
    expect(due(40)).toBe(30)
    Object.assign(w.grant.statement, { continuous: { reattest_seconds: 1, outcome_seconds: 1 } })
    expect(spend(w)).toMatchObject({ refused: 'step_up_required', because: { needs: 'task' } })
    Object.assign(w.grant.statement, { continuous: undefined }) // such a statement is never approved
    expect(reasonOf(spend(w))).toBe('step_up_required')
    Object.assign(w.grant, { mode: 'window' })
    const verdict = spend(w)
    expect(verdict.facts.duties?.reportSeconds).toBe(30)
  })

  it('leaves no more bytes than are reserved, or than policies let out', () => {
    const limited = asked('@id("x") @limit("7") permit (principal, action, resource);')
    const limitOf = (w: Asked, budget: object) => {
      const verdict = spend(w, emptySpend(), [agent], budget)
      return verdict.refused ?? verdict.facts.duties.limitBytes
    }
    expect(limitOf(limited, {})).toBe(7)
    expect(limitOf(limited, { egress_bytes: 80 })).toBe(7)
    expect(limitOf(limited, { egress_bytes: 8 })).toBe(1)
    expect(limitOf(asked(), { egress_bytes: 80 })).toBe(10)
    const asks = asked()
    Object.assign(asks.request, { observed: { answer_bytes: 33 } })
    expect(limitOf(asks, { egress_bytes: 80 })).toBe(33)
    expect(limitOf(asks, { calls: 0 })).toBe('budget_exhausted')
  })
})
