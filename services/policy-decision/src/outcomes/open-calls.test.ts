import { describe, expect, it } from 'vitest'
import { agent, now, spell, type World, world } from '../steps/living-call.fixture.ts'
import { OpenCalls } from './open-calls.ts'

const point = { id: 'invoices-api', instance: 'i'.repeat(22) }
const [first, second] = ['dec_1', 'dec_2']

/** Two calls under one grant, in a world where nothing else happens. */
function asked() {
  const w = world()
  const record = (id: string) => ({
    ...{
      id,
      enforcementPoint: point.id,
      instance: point.instance,
      standing: 'open',
      at: now - 1000,
      credential: 'crd_1',
    },
  })
  const allows = new Map([first, second].map((id) => [id, record(id)]))
  const roots = new Map([first, second].map((id) => [id, 'grt_1']))
  const decisions = {
    trees: new Map([['grt_1', { allows, taken: { calls: 0n } }]]),
    rootOf: (id: string) => roots.get(id),
  }
  Object.assign(w.tree, { movedAt: 0 })
  Object.assign(w.pdp.projection.ledger, { decisions })
  Object.assign(w.pdp.projection.ledger.revocations, {})
  const time = { ms: 0 }
  Object.assign(w.pdp.clock, { monotonic: () => performance.now() + time.ms })
  const open = new OpenCalls(w.pdp as never)
  const ask = (waitMs = 0, decisions = [first, second], of = point) => open.ask(of, { decisions, waitMs })
  return { ...w, open, ask, allows, roots }
}
const fact = (topic: string, type: string) => ({ topic, event: { type } }) as never

describe('calls that go on', () => {
  it('stand while nothing has happened', async () => {
    expect(await asked().ask()).toEqual({ over: [], unknown: [] })
  })

  it.each<[string, (w: World) => unknown]>([
    ['credential_revoked', (w) => w.revoke('credential', 'crd_1')],
    ['grant_revoked', (w) => w.revoke('grant', 'grt_1')],
    ['agent_revoked', (w) => w.revoke('agent', agent)],
    ['approver_revoked', (w) => w.revoke('approver', 'eve')],
    ['tool_server_revoked', (w) => w.revoke('tool-server', 'erp')],
    ['everything_revoked', (w) => w.revoke('all', '*')],
    ['grant_expired', (w) => Object.assign(w.grant, { not_after: spell(now) })],
    ['grant_not_active', (w) => Object.assign(w.tree, { state: 'completed' })],
    ['grant_not_active', (w) => Object.assign(w.tree, { state: 'suspended' })],
    ['manifest_changed', (w) => Object.assign(w.servers, { erp: { manifest: 'm2' } })],
    ['agent_revoked', (w) => w.instances.clear()],
    ['approval_unverified', (w) => w.approvers.clear()],
    ['grant_agent_mismatch', (w) => Object.assign(w.tree, { movedAt: now })],
    ['grant_unknown', (w) => w.pdp.projection.ledger.grants.trees.clear()],
  ])('end as a new call would be denied: %s (V7)', async (reason, change) => {
    const w = asked()
    change(w)
    const over = [first, second].map((decision_id) => ({ decision_id, reason }))
    expect(await w.ask(60_000)).toEqual({ over, unknown: [] })
  })

  it('do not end with the credential that they were begun with', async () => {
    const w = asked()
    Object.assign(w.intent, { expires_at: spell(now - 1) })
    w.tree.credentials.clear()
    expect(await w.ask()).toEqual({ over: [], unknown: [] })
  })

  it('end one by one, as far as they differ', async () => {
    const w = asked()
    Object.assign(w.allows.get(second) ?? {}, { credential: 'crd_2' })
    w.revoke('credential', 'crd_2')
    expect(await w.ask()).toEqual({ over: [{ decision_id: second, reason: 'credential_revoked' }], unknown: [] })
  })

  it('are unknown to the starts of a point that did not begin them, and where they are not read yet', async () => {
    const w = asked()
    expect(await w.ask(0, [first], { ...point, instance: 'j'.repeat(22) })).toEqual({ over: [], unknown: [first] })
    expect(await w.ask(0, [first], { ...point, id: 'another' })).toEqual({ over: [], unknown: [first] })
    w.roots.delete(second)
    expect(await w.ask()).toEqual({ over: [], unknown: [second] })
  })

  it('are answered at once when a revocation is read, and not for facts that end no call', async () => {
    const w = asked()
    let answered: unknown
    const asking = w.ask(60_000).then((answer) => {
      answered = answer
    })
    w.open.onFact(fact('decisions.v1', 'decision.allowed'))
    w.open.onFact(fact('grants.v1', 'credential.intended'))
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(answered).toBeUndefined()
    w.revoke('grant', 'grt_1')
    w.open.onFact(fact('revocations.v1', 'revocation.declared'))
    await asking
    expect(answered).toMatchObject({ over: [{ reason: 'grant_revoked' }, { reason: 'grant_revoked' }] })
  })

  it('that are read later are known then', async () => {
    const w = asked()
    w.roots.delete(second)
    const asking = w.ask(1000)
    w.roots.set(second, 'grt_1')
    expect(await asking).toEqual({ over: [], unknown: [] })
  })

  it('are not known to stand where the state is not fresh, at once and while a question waits (V8)', async () => {
    const w = asked()
    const asking = w.ask(60_000)
    asking.catch(() => undefined)
    w.pdp.fresh = false
    await expect(asking).rejects.toThrow('state_stale')
    await expect(w.ask()).rejects.toThrow('state_stale')
  })
})
