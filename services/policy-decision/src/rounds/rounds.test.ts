import { longestRoundsMs, mostRounds } from '@bailiwick/contracts'
import { type Action, actionDigest, generateKey, makeDpopProof, signContinuation } from '@bailiwick/credentials'
import { newId, systemRandom } from '@bailiwick/kit'
import { change } from '@bailiwick/projection'
import { describe, expect, it } from 'vitest'
import { action, agentKey, asked, base, point, resource, root } from '../decide.fixture.ts'
import { decide } from '../decide.ts'
import { agent, now, spell } from '../steps/living-call.fixture.ts'

const callerKey = generateKey('pep-caller')
const gateway = {
  ...{ ...point, id: 'gateway', instance: 'one0start0of0a0point0A', caller_jwk: callerKey.publicJwk },
  may_release: true,
}
const installation = 'ins_0123456789abcdef'
const answers = { inputResponses: { amount: { action: 'accept' } }, requestState: 's1' }

/** A decision point, and an enforcement point that makes a call in rounds. Each test changes one thing. */
function calling(uses = 1) {
  const w = asked()
  Object.assign(w.tree.grant.authority, {
    permissions: [{ actions: ['tools/call'], resource, where: { '/invoice': { prefix: 'INV' } }, max_uses: uses }],
    budget: { calls: uses },
  })
  let calls = 0
  const ask = async (given: Partial<Action> = {}, more: object = {}, by: object = gateway) => {
    const what = { ...action, resource, ...given }
    const digest = actionDigest(what)
    const callId = newId('call', now, systemRandom)
    const jti = `proof-${++calls}`.padEnd(24, '0')
    const { credential } = w.request.observed
    const made = { htm: 'POST', htu: `${base}mcp`, jti, now, accessToken: credential, actionDigest: digest }
    const observed = {
      ...w.request.observed,
      ...{ proof: makeDpopProof(made, agentKey), call_id: callId },
      ...(typeof more === 'function' ? more(callId) : more),
    }
    const { name, properties } = what
    const request = { ...w.request, action: { name, properties }, resource: what.resource, digest, observed }
    return decide(w.pdp as never, w.queues, by as never, request as never)
  }
  const tree = () => w.pdp.projection.ledger.decisions.trees.get(root)
  /** The server answered with questions, or with something else. */
  const end = (decisionId: string, status = 'continued', claims: object = {}) =>
    change(
      tree() as never,
      {
        type: 'outcome.reported',
        time: spell(now),
        data: {
          decision_id: decisionId,
          released: { calls: 0, egress_bytes: 0, cost: {} },
          status,
          outcome: `e30.${Buffer.from(JSON.stringify({ status, ...claims })).toString('base64url')}.AA`,
        },
      } as never,
    )
  /** The first round, and what its point needs to go on. */
  const first = async (status = 'continued') => {
    const answer = await ask()
    if (!answer.decision) throw new Error(answer.reason)
    const { action_salt: salt } = JSON.parse(Buffer.from(answer.permit.split('.')[1] ?? '', 'base64url').toString())
    if (status !== 'none') end(answer.decisionId, status)
    const record = tree()?.allows.get(answer.decisionId)
    return { decisionId: answer.decisionId, name: record?.actionHash ?? '', salt }
  }
  type First = Awaited<ReturnType<typeof first>>
  /** What the point says of the round that it goes on with. */
  const goingOn =
    ({ decisionId, name, salt }: First, claims: object = {}, key = callerKey) =>
    (callId: string) => {
      const { id, instance } = gateway
      const said = { installation, enforcement_point: id, instance, call_id: callId, decision_id: decisionId }
      return { continues: { asked: signContinuation({ ...said, action_digest: name, ...claims }, key), salt } }
    }
  const reasonOf = async (answer: ReturnType<typeof ask>) => {
    const given = await answer
    return given.decision ? 'allow' : given.reason
  }
  const withAnswers = { properties: { ...action.properties, ...answers } }
  const further = (from: First, given: Partial<Action> = withAnswers, more: object = goingOn(from)) =>
    reasonOf(ask(given, more))
  return { ...w, ask, end, tree, first, goingOn, further, reasonOf, withAnswers }
}

describe('a further round of a call', () => {
  it('is allowed after the last call of its budget, and takes nothing of it (V9)', async () => {
    const w = calling()
    const from = await w.first()
    expect(await w.reasonOf(w.ask({ properties: { ...action.properties, ...answers } }))).toBe('uses_exhausted')
    expect(await w.further(from)).toBe('allow')
    expect(w.store.advances.at(-1)?.amounts).toEqual({ calls: 0n, egress_bytes: 0n, 'uses:0': 0n })
    const [event] = w.writes.at(-1) ?? []
    expect(event?.data).toMatchObject({
      ...{ reserved: { calls: 0, cost: {}, egress_bytes: 0 }, permission: 0 },
      continues: { decision_id: from.decisionId, asked: expect.any(String) },
    })
    expect(w.tree()).toMatchObject({ taken: { calls: 1n }, uses: new Map([[0, 1]]) })
  })

  it('waits for the outcome of the round before', async () => {
    const w = calling()
    const from = await w.first('succeeded')
    Object.assign(w.tree()?.allows.get(from.decisionId) ?? {}, { standing: 'open' })
    Object.assign(w.pdp.projection, {
      until: async (find: () => unknown) => {
        const found = find()
        if (found === undefined) w.end(from.decisionId)
        return found ?? find()
      },
    })
    expect(await w.further(from)).toBe('allow')
  })

  it.each<[string, string]>([
    ['ended otherwise', 'succeeded'],
    ['ended in a way that is not known', 'unknown'],
  ])('of a call that %s is refused', async (_, status) => {
    const w = calling()
    expect(await w.further(await w.first(status))).toBe('round_invalid')
  })

  it('of a call without an outcome is refused for now, once it was waited for', async () => {
    const w = calling()
    const from = await w.first()
    const record = w.tree()?.allows.get(from.decisionId)
    Object.assign(record ?? {}, { standing: 'open' })
    expect(await w.further(from)).toBe('round_open')
    Object.assign(record ?? {}, { standing: 'settled' })
    expect(await w.further(from)).toBe('allow')
  })

  it('is a call of its own if its point may not release (V9)', async () => {
    const w = calling(2)
    const from = await w.first()
    const ask = () => w.reasonOf(w.ask(w.withAnswers, w.goingOn(from), { ...gateway, may_release: false }))
    expect(await ask()).toBe('allow')
    const [event] = w.writes.at(-1) ?? []
    expect(event?.data).toMatchObject({ reserved: { calls: 1 } })
    expect(event?.data).not.toHaveProperty('continues')
    expect(await ask()).toBe('uses_reserved')
  })

  it('of a call in the agent’s own process is refused, though its point may release (V9)', async () => {
    const w = calling()
    const from = await w.first('none')
    w.end(from.decisionId, 'continued', { enforced_by: 'in_process' })
    expect(await w.further(from)).toBe('round_invalid')
  })

  it('is judged by policies that do not see the call itself as done before (V9)', async () => {
    const w = calling()
    const seen: unknown[] = []
    const member = (kind: string, members: object = {}) => ({ kind, members: new Map(Object.entries(members)) })
    const facts = member('Record', { calls: member('Long'), count: member('Record', { unlabelled: member('Long') }) })
    const context = member('Record', { history: member('Record', { task: facts }) })
    Object.assign(w.pdp.projection.ledger.decisions, { denials: { of: () => 0 } })
    Object.assign(w.active.engine, {
      context: () => context,
      evaluate: (request: { context: { history: unknown } }) => {
        seen.push(request.context.history)
        return w.said
      },
    })
    const from = await w.first()
    expect(await w.further(from)).toBe('allow')
    const none = { task: { calls: 0, count: { unlabelled: 0 } } }
    expect(seen).toEqual([none, none])
  })

  it.each<[string, (w: ReturnType<typeof calling>) => Partial<Action>]>([
    ['other arguments', () => ({ properties: { ...action.properties, ...answers, secret: 'y' } })],
    ['an argument more', () => ({ properties: { ...action.properties, ...answers, more: 1 } })],
    ['an argument less', () => ({ properties: { invoice: 'INV-1', list: [1], ...answers } })],
  ])('with %s is refused (V9)', async (_, swapped) => {
    const w = calling()
    expect(await w.further(await w.first(), swapped(w))).toBe('round_invalid')
  })

  it.each<[string, object]>([
    ['for another call', { call_id: 'call_0123456789abcdef' }],
    ['by another start of the point', { instance: 'two0start0of0a0point0A' }],
    ['by another point', { enforcement_point: 'proxy' }],
    ['for another installation', { installation: 'ins_fedcba9876543210' }],
    ['of a decision that there is not', { decision_id: `dec_${'9'.repeat(20)}` }],
    ['of another action', { action_digest: 'A'.repeat(43) }],
  ])('that was asked for %s is refused (V9, V12)', async (_, claims) => {
    const w = calling()
    const from = await w.first()
    expect(await w.further(from, w.withAnswers, w.goingOn(from, claims))).toBe('round_invalid')
  })

  it('that another key asked for is refused (V12)', async () => {
    const w = calling()
    const from = await w.first()
    const other = generateKey('pep-caller')
    expect(await w.further(from, w.withAnswers, w.goingOn(from, {}, other))).toBe('round_invalid')
    expect(await w.further({ ...from, salt: undefined as never })).toBe('round_invalid')
    expect(await w.further(from)).toBe('allow')
  })

  it.each<[string, (from: object) => void]>([
    ['of another agent', (from) => Object.assign(from, { acting: `${agent}x` })],
    ['under another delegation', (from) => Object.assign(from, { chain: [{ id: 'dlg_1', permission: 0 }] })],
    ['of another point', (from) => Object.assign(from, { enforcementPoint: 'proxy' })],
    ['of an earlier start of the point', (from) => Object.assign(from, { instance: undefined })],
  ])('of the call %s is refused (V9)', async (_, other) => {
    const w = calling()
    const from = await w.first()
    other(w.tree()?.allows.get(from.decisionId) ?? {})
    expect(await w.further(from)).toBe('round_invalid')
  })

  it('under a permission that does not cover it is refused, though another does (V3)', async () => {
    const w = calling()
    const from = await w.first()
    Object.assign(w.tree()?.allows.get(from.decisionId) ?? {}, { permission: 1 })
    expect(await w.further(from)).toBe('round_invalid')
  })

  it('goes on from a round once, unless it was taken back (V10)', async () => {
    const w = calling()
    const from = await w.first()
    expect([await w.further(from), await w.further(from)]).toEqual(['allow', 'round_used'])
    for (const each of w.tree()?.allows.values() ?? []) if (each.round) Object.assign(each, { standing: 'abandoned' })
    expect(await w.further(from)).toBe('allow')
  })

  it('of many at the same moment is allowed once (V10)', async () => {
    const w = calling()
    const from = await w.first()
    const all = await Promise.all(Array.from({ length: 4 }, () => w.further(from)))
    expect(all.toSorted()).toEqual(['allow', 'round_used', 'round_used', 'round_used'])
  })

  it('is one of so many, within so long (V9)', async () => {
    const w = calling()
    const from = await w.first()
    const record = w.tree()?.allows.get(from.decisionId)
    Object.assign(record ?? {}, { at: now - longestRoundsMs - 1 })
    expect(await w.further(from)).toBe('rounds_exhausted')
    Object.assign(record ?? {}, { at: now, round: { first: from.decisionId, number: mostRounds } })
    expect(await w.further(from)).toBe('rounds_exhausted')
    Object.assign(record ?? {}, {
      at: now - longestRoundsMs,
      round: { first: from.decisionId, number: mostRounds - 1 },
    })
    expect(await w.further(from)).toBe('allow')
  })

  it('is decided by the policies as they are now, and denied once its grant is over (V7)', async () => {
    const w = calling()
    const from = await w.first()
    w.said.outcome = 'deny'
    expect(await w.further(from)).toBe('policy_denied')
    w.said.outcome = 'allow'
    w.revoke('grant', root)
    expect(await w.further(from)).toBe('grant_revoked')
  })
})
