import { describe, expect, it } from 'vitest'
import { DecisionState } from './decision-state.ts'
import { anEvent, at, idOf, noon } from './events.fixture.ts'

const root = idOf('grt', 'root')
const agent = 'spiffe://example.org/agent/a'
const child = 'spiffe://example.org/agent/b'
const denied = (reason: string, actor: object = { agent: `${agent}/i1`, grant_id: root }, tree = root) =>
  anEvent('decisions.v1', 'decision.denied', {
    partitionkey: tree,
    time: at(0),
    data: { decision_id: idOf('dec', 1), reason, actor, requestable: false },
  })
const summary = (denials: { subject: string; reason: string; count: number }[]) =>
  anEvent('decisions.v1', 'denials.summarised', { time: at(0), data: { from: at(0), to: at(0), denials } })
const seen = (...events: ReturnType<typeof denied | typeof summary>[]) => {
  const state = new DecisionState({ base: false })
  for (const event of events) expect(state.apply(event)).toBe('counts')
  const of = (name: string) => state.history.of(name, noon).denials
  return { task: state.denials.of(root), agent: of(agent), child: of(child) }
}

describe('denials as history', () => {
  it('count for the task, for whose grant it is and for who acted', () => {
    expect(seen(denied('policy_denied'))).toEqual({ task: 1, agent: 1, child: 0 })
    const actor = { agent: `${agent}/i1`, sub_agent: `${child}/i1`, delegation_id: idOf('dlg', 1), grant_id: root }
    expect(seen(denied('action_not_granted', actor), denied('budget_exhausted'))).toEqual({
      task: 2,
      agent: 2,
      child: 1,
    })
  })

  it('count for those too through whom it came to who acted, once for each agent', () => {
    const actor = { agent: `${agent}/i1`, sub_agent: `${agent}/i2`, delegation_id: idOf('dlg', 1), grant_id: root }
    const passedOn = denied('policy_denied', actor)
    const event = { ...passedOn, data: { ...passedOn.data, between: [`${child}/i1`, `${child}/i2`] } }
    expect(seen(event as typeof passedOn)).toEqual({ task: 1, agent: 1, child: 1 })
  })

  it.each(['state_stale', 'evidence_unavailable', 'deadline_exceeded', 'proof_invalid', 'step_up_required'])(
    'are not those for which who asks can do nothing, or which a found credential gives: %s (V18)',
    (reason) => expect(seen(denied(reason))).toEqual({ task: 0, agent: 0, child: 0 }),
  )

  it('count for the agent alone where they come as a sum', () => {
    const counts = seen(
      summary([
        { subject: `${child}/i1`, reason: 'policy_denied', count: 40 },
        { subject: `${child}/i1`, reason: 'state_stale', count: 7 },
        { subject: 'point', reason: 'policy_denied', count: 9 },
      ]),
    )
    expect(counts).toEqual({ task: 0, agent: 0, child: 40 })
  })

  it('are forgotten with their task', () => {
    const state = new DecisionState({ base: false })
    state.apply(denied('policy_denied'))
    state.forget(noon + 1, () => false)
    expect(state.denials.of(root)).toBe(1)
    state.forget(noon + 1, () => true)
    expect(state.denials.of(root)).toBe(0)
  })
})
