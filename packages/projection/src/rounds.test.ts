import type { BudgetAmounts, DecodedEvent } from '@bailiwick/contracts'
import { describe, expect, it } from 'vitest'
import { DecisionState } from './decision-state.ts'
import { anEvent, at, idOf, noon } from './events.fixture.ts'
import { change, spellAmounts, tentative } from './tree-spend.ts'

const root = idOf('grt', 'root')
const dec = (n: number) => idOf('dec', n)
const amounts = (calls = 1, euros = '0', egress_bytes = 0): BudgetAmounts => ({
  calls,
  cost: euros === '0' ? {} : { EUR: euros },
  egress_bytes,
})

interface Step {
  type: 'decision.allowed' | 'decision.abandoned' | 'outcome.reported' | 'outcome.missing'
  n: number
  version?: number
  amounts?: BudgetAmounts
  /** The decision that it goes on with. */
  continues?: number
  status?: string
  /** Its outcome. */
  outcome?: string
}

function event({ type, n, version = 1, ...step }: Step): DecodedEvent<'decisions.v1'> {
  const allowed = {
    call_id: `call-${String(n).padStart(16, '0')}`,
    permission: 0,
    reserved: step.amounts ?? amounts(),
    labels: ['external'],
    proof_id: String(n).padStart(43, 'p'),
    chain: [{ delegation_id: idOf('dlg', 1), agent: 'spiffe://example.org/agent/sub-1/i1', permission: 1 }],
    ...(step.continues === undefined ? {} : { continues: { decision_id: dec(step.continues), asked: 'a.b.c' } }),
    outcome_due: at(60_000),
  }
  const { status = 'succeeded', outcome } = step
  const told = { released: amounts(0), status, ...(outcome === undefined ? {} : { outcome }) }
  const ended = type === 'outcome.reported' ? told : {}
  const data = { decision_id: dec(n), ...(type === 'decision.allowed' ? allowed : { grant_id: root, ...ended }) }
  const id = idOf('evt', version)
  return anEvent('decisions.v1', type, { subject: dec(n), partitionkey: root, version, data, id, time: at(0) })
}

function fold(steps: readonly Step[]): DecisionState {
  const state = new DecisionState({ base: false })
  steps.forEach((step, n) => {
    expect(state.apply(event({ ...step, version: n + 1 }))).toBe('counts')
  })
  return state
}
const spent = (state: DecisionState) => {
  const tree = state.trees.get(root)
  return tree && { taken: spellAmounts(tree.taken), uses: Object.fromEntries(tree.uses) }
}

describe('a further round of a call', () => {
  const inProcess = Buffer.from('{"status":"continued","enforced_by":"in_process"}').toString('base64url')
  const first: Step = { type: 'decision.allowed', n: 1, amounts: amounts(1, '10', 5) }
  const asked: Step = { type: 'outcome.reported', n: 1, status: 'continued' }
  const second: Step = { type: 'decision.allowed', n: 2, amounts: amounts(0, '0', 3), continues: 1 }
  const history = (state: DecisionState) => state.history.of('spiffe://example.org/agent/sub-1', noon)

  it('takes bytes, and no call, use or money; what gives it back gives back no more (V9)', () => {
    for (const ends of [[], [{ type: 'decision.abandoned', n: 2 } as Step]]) {
      const state = fold([first, asked, second, ...ends])
      expect(spent(state)).toMatchObject({ taken: { calls: 1, cost: { EUR: '10' } }, uses: { 0: 1 } })
      expect(state.trees.get(root)).toMatchObject({
        open: 1 - ends.length,
        held: { calls: 0n, uses: new Map([[0, 0]]) },
        labels: new Map([['external', { count: 1, lastAt: noon, spent: new Map([['EUR', 10_000_000n]]) }]]),
      })
      expect(history(state)).toMatchObject({ calls: 1 })
    }
    const open = fold([first, asked, second]).trees.get(root)
    expect(open?.taken.egressBytes).toBe(8n)
    expect(open?.allows.get(dec(2))?.round).toEqual({ first: dec(1), number: 2 })
  })

  it('of a decision point that was taken over gives back no use that was not taken (V9)', () => {
    const lie: Step = { ...second, amounts: amounts(3, '30', 3) }
    const state = fold([first, asked, lie, { type: 'decision.abandoned', n: 2 }])
    expect(spent(state)).toMatchObject({ taken: { calls: 1, cost: { EUR: '10' } }, uses: { 0: 1 } })
    expect(history(state)).toMatchObject({ calls: 1 })
  })

  it.each<[string, Step[]]>([
    ['a call that has no outcome yet', [first]],
    ['a call that ended otherwise', [first, { ...asked, status: 'succeeded' }]],
    ['a call in the agent’s own process', [first, { ...asked, outcome: `e30.${inProcess}.AA` }]],
    ['a call whose outcome is missing', [first, { type: 'outcome.missing', n: 1 }]],
    ['a call that was taken back', [first, { type: 'decision.abandoned', n: 1 }]],
    ['no call', [{ ...first, n: 9 }]],
    ['a call that went on once', [first, asked, { ...second, n: 3 }]],
    ['a call whose second round is over', [first, asked, { ...second, n: 3 }, { ...asked, n: 3 }]],
  ])('is void if it goes on with %s (V10)', (_, before) => {
    const state = fold(before)
    const taken = structuredClone(state.trees)
    expect(state.apply(event({ ...second, version: before.length + 1 }))).toBe('void')
    expect(state.trees).toEqual(taken)
  })

  it('may go on again from where a round was taken back, and after each round once (V10)', () => {
    const state = fold([first, asked, second, { type: 'decision.abandoned', n: 2 }, { ...second, n: 3 }])
    expect(state.apply(event({ ...second, n: 4, version: 6 }))).toBe('void')
    const further = fold([first, asked, second, { ...asked, n: 2 }, { ...second, n: 3, continues: 2 }])
    expect(further.trees.get(root)?.allows.get(dec(3))?.round).toEqual({ first: dec(1), number: 3 })
  })

  it('is tried on a view without a trace in the tree below it (V10)', () => {
    const state = fold([first, asked])
    const tree = state.trees.get(root)
    const before = structuredClone(tree)
    const view = tentative(tree)
    const tried = (n: number) => change(view, event({ ...second, n, version: 3 }) as never)
    expect([tried(2), tried(3)]).toEqual([true, false])
    expect(tree).toEqual(before)
  })
})
