import { formatMicros, parseMicros } from '@bailiwick/authority'
import type { BudgetAmounts, DecodedEvent } from '@bailiwick/contracts'
import { generateKey, signOutcome } from '@bailiwick/credentials'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DecisionState } from './decision-state.ts'
import { anEvent, at, idOf, noon } from './events.fixture.ts'
import { change, emptySpend, isUsed, spellAmounts, type TreeSpend, tentative } from './tree-spend.ts'

const root = idOf('grt', 'root')
const dec = (n: number | string) => idOf('dec', n)
const evt = (n: number) => idOf('evt', n)
const amounts = (calls = 1, euros = '0', egress_bytes = 0): BudgetAmounts => ({
  calls,
  cost: euros === '0' ? {} : { EUR: euros },
  egress_bytes,
})
const nothing = amounts(0)

interface Step {
  type: 'decision.allowed' | 'decision.abandoned' | 'outcome.reported' | 'outcome.missing'
  n: number
  version?: number
  amounts?: BudgetAmounts
  call?: number
  stepUp?: number
  proof?: number
  /** Numbers of the delegations that the call was made under. */
  chain?: number[]
  permission?: number
  after?: string
  id?: string
  dueAt?: number
  tree?: string
  time?: string
}
const dlg = (n: number) => idOf('dlg', n)
const proofOf = (n: number) => String(n).padStart(43, 'p')
const linkOf = (n: number) => ({
  delegation_id: dlg(n),
  agent: `spiffe://example.org/agent/sub-${n}/i1`,
  permission: n,
})
function event(step: Step): DecodedEvent<'decisions.v1'> {
  const { type, n, version = 1, tree = root } = step
  const data = {
    decision_id: dec(n),
    ...(step.after === undefined ? {} : { after: step.after }),
    ...(type === 'decision.allowed'
      ? {
          call_id: `call-${String(step.call ?? n).padStart(16, '0')}`,
          permission: step.permission ?? 0,
          reserved: step.amounts ?? amounts(),
          labels: ['external'],
          ...(step.stepUp === undefined ? {} : { step_up: idOf('req', step.stepUp) }),
          proof_id: proofOf(step.proof ?? n),
          ...(step.chain === undefined || step.chain.length === 0 ? {} : { chain: step.chain.map(linkOf) }),
          outcome_due: at(step.dueAt ?? 60_000),
        }
      : { grant_id: tree }),
    ...(type === 'outcome.reported' ? { released: step.amounts ?? nothing } : {}),
  }
  const { id = evt(version), time = at(0) } = step
  return anEvent('decisions.v1', type, { subject: dec(n), partitionkey: tree, version, data, id, time })
}
function fold(steps: readonly Step[], base = false): DecisionState {
  const state = new DecisionState({ base })
  steps.forEach((step, n) => {
    expect(state.apply(event({ version: n + 1, ...step }))).toBe('counts')
  })
  return state
}
const spent = (state: DecisionState) => {
  const tree = state.trees.get(root)
  return tree && { taken: spellAmounts(tree.taken), uses: Object.fromEntries(tree.uses) }
}

describe('the life of an ALLOW (V10)', () => {
  const settling = ['decision.abandoned', 'outcome.reported', 'outcome.missing'] as const
  const allow: Step = { type: 'decision.allowed', n: 1, amounts: amounts(1, '10', 5) }

  it.each(settling.flatMap((first) => settling.map((second) => [first, second] as const)))(
    '%s, then %s: it is settled once; only what was missed may still be reported, and gives nothing back',
    (first, second) => {
      const state = fold([allow, { type: first, n: 1 }])
      const before = spent(state)
      const late = first === 'outcome.missing' && second === 'outcome.reported'
      const again = event({ type: second, n: 1, version: 3, amounts: amounts(1, '10', 5) })
      expect(state.apply(again)).toBe(late ? 'counts' : 'void')
      expect(spent(state)).toEqual(before)
      expect(state.trees.get(root)?.version).toBe(late ? 3 : 2)
    },
  )

  it('an abandoned one gives everything back, use included', () => {
    const state = fold([allow, { type: 'decision.abandoned', n: 1 }])
    expect(spent(state)).toEqual({ taken: { calls: 0, cost: { EUR: '0' }, egress_bytes: 0 }, uses: { 0: 0 } })
  })

  it('a missing outcome settles in full (V9)', () => {
    const state = fold([allow, { type: 'outcome.missing', n: 1 }])
    expect(spent(state)).toEqual({ taken: { calls: 1, cost: { EUR: '10' }, egress_bytes: 5 }, uses: { 0: 1 } })
  })

  it.each<[string, BudgetAmounts]>([
    ['a call', amounts(2, '10', 5)],
    ['a cent', amounts(1, '10.000001', 5)],
    ['a byte', amounts(1, '10', 6)],
    ['another currency', { ...amounts(1, '10', 5), cost: { USD: '0.01' } }],
  ])('never gives back %s more than was reserved: void, whole (V9)', (_, released) => {
    const state = fold([allow])
    const before = spent(state)
    expect(state.apply(event({ type: 'outcome.reported', n: 1, version: 2, amounts: released }))).toBe('void')
    expect(spent(state)).toEqual(before)
    expect(state.trees.get(root)?.allows.get(dec(1))?.standing).toBe('open')
  })

  it('the same decision, or the same call, is allowed once', () => {
    const state = fold([allow])
    const before = structuredClone(state.trees)
    expect(state.apply(event({ ...allow, version: 2, call: 2 }))).toBe('void')
    expect(state.apply(event({ ...allow, version: 2, n: 2, call: 1 }))).toBe('void')
    expect(state.trees).toEqual(before)
  })

  it.each(settling)('%s of what was never allowed here is void, and plants no tree', (type) => {
    const state = new DecisionState({ base: true })
    expect(state.apply(event({ type, n: 1 }))).toBe('void')
    expect(state.trees.size).toBe(0)
    const other = fold([allow])
    expect(other.apply(event({ type, n: 1, tree: idOf('grt', 'other') }))).toBe('void')
  })
})

describe('versions of a tree', () => {
  it('an event that was evaluated on another newest event is void', () => {
    const state = fold([{ type: 'decision.allowed', n: 1 }])
    expect(state.apply(event({ type: 'decision.allowed', n: 2, version: 2, after: evt(9) }))).toBe('void')
    expect(state.apply(event({ type: 'decision.allowed', n: 2, version: 2, after: evt(1) }))).toBe('counts')
  })

  it('the first of a tree comes after none; a reader that starts inside takes its first as it is', () => {
    for (const base of [true, false]) {
      const state = new DecisionState({ base })
      expect(state.apply(event({ type: 'decision.allowed', n: 1, version: 1, after: evt(9) }))).toBe('void')
      expect(state.apply(event({ type: 'decision.allowed', n: 1, version: 5, after: evt(4) }))).toBe(
        base ? 'counts' : 'void',
      )
    }
  })

  it('denials count and advance nothing', () => {
    const state = fold([{ type: 'decision.allowed', n: 1 }])
    const before = structuredClone(state.trees)
    expect(state.apply(anEvent('decisions.v1', 'decision.denied', { about: root }))).toBe('counts')
    expect(state.apply(anEvent('decisions.v1', 'denials.summarised', { about: root }))).toBe('counts')
    expect(state.trees).toEqual(before)
  })
})

describe('what is overdue', () => {
  it('is found behind one that is due in a far future, and until it is settled', () => {
    const state = fold([
      { type: 'decision.allowed', n: 1, dueAt: 1_000_000_000 },
      { type: 'decision.allowed', n: 2, dueAt: 1000 },
      { type: 'decision.allowed', n: 3, dueAt: 500 },
    ])
    const overdue = (ms: number) => state.overdue(noon + ms).map(({ record }) => record.id)
    expect(overdue(499)).toEqual([])
    expect(overdue(1000)).toEqual([dec(2), dec(3)])
    state.apply(event({ type: 'outcome.missing', n: 2, version: 4 }))
    expect(overdue(1000)).toEqual([dec(3)])
    expect(state.rootOf(dec(2))).toBe(root)
  })

  it('is forgotten with its tree, when that has ended', () => {
    const state = fold([{ type: 'decision.allowed', n: 1, dueAt: 0 }])
    state.forget(noon + 1, () => false)
    expect(state.trees.size).toBe(1)
    state.forget(noon, () => true)
    expect(state.trees.size).toBe(1)
    state.forget(noon + 1, () => true)
    expect([state.trees.size, state.rootOf(dec(1)), state.overdue(noon + 9)]).toEqual([0, undefined, []])
  })
})

const someAmounts = fc
  .record({
    calls: fc.integer({ min: 0, max: 3 }),
    euros: fc.integer({ min: 0, max: 40 }),
    egress_bytes: fc.integer({ min: 0, max: 5 }),
  })
  .map(({ calls, euros, egress_bytes }) => amounts(calls, formatMicros(BigInt(euros) * 250_000n), egress_bytes))
const someStep: fc.Arbitrary<Step> = fc.record({
  type: fc.constantFrom(
    'decision.allowed',
    'decision.allowed',
    'decision.abandoned',
    'outcome.reported',
    'outcome.missing',
  ),
  n: fc.integer({ min: 1, max: 6 }),
  call: fc.integer({ min: 1, max: 8 }),
  permission: fc.integer({ min: 0, max: 1 }),
  chain: fc.subarray([1, 2, 3]),
  amounts: someAmounts,
})
const euros = ({ cost }: BudgetAmounts) => parseMicros(cost.EUR ?? '0') ?? 0n

it('holds what its ALLOWs reserved less what was given back, even if a stolen PDP writes (V9, V10)', () => {
  fc.assert(
    fc.property(fc.array(someStep, { maxLength: 40 }), (steps) => {
      const state = new DecisionState({ base: false })
      const reserved = new Map<number, BudgetAmounts>()
      const settled = new Map<number, Step['type']>()
      let [calls, bytes, cost] = [0n, 0n, 0n]
      for (const step of steps) {
        const version = (state.trees.get(root)?.version ?? 0) + 1
        const counts = state.apply(event({ ...step, version })) === 'counts'
        const own = reserved.get(step.n)
        if (!counts) continue
        if (step.type === 'decision.allowed') {
          expect(own).toBeUndefined()
          const taken = step.amounts ?? nothing
          reserved.set(step.n, taken)
          ;[calls, bytes, cost] = [calls + BigInt(taken.calls), bytes + BigInt(taken.egress_bytes), cost + euros(taken)]
          continue
        }
        if (!own) throw new Error('settled what was never allowed')
        const before = settled.get(step.n)
        if (before) expect([before, step.type]).toEqual(['outcome.missing', 'outcome.reported'])
        settled.set(step.n, step.type)
        const gives = {
          'decision.abandoned': own,
          'outcome.reported': step.amounts ?? nothing,
          'outcome.missing': nothing,
        }
        const back = before ? nothing : gives[step.type]
        expect(back.calls <= own.calls && back.egress_bytes <= own.egress_bytes && euros(back) <= euros(own)).toBe(true)
        // Bytes are given back according to how many an outcome says were sent. These outcomes state no number.
        const unsent = step.type === 'decision.abandoned' ? back.egress_bytes : 0
        ;[calls, bytes, cost] = [calls - BigInt(back.calls), bytes - BigInt(unsent), cost - euros(back)]
      }
      const tree = state.trees.get(root) ?? emptySpend()
      expect(tree.taken.calls).toBe(calls)
      expect(tree.taken.egressBytes).toBe(bytes)
      expect(tree.taken.cost.get('EUR') ?? 0n).toBe(cost)
      for (const uses of tree.uses.values()) expect(uses).toBeGreaterThanOrEqual(0)
      for (const { taken, uses } of tree.links.values()) {
        expect(taken.calls <= calls && taken.egressBytes <= bytes && (taken.cost.get('EUR') ?? 0n) <= cost).toBe(true)
        for (const used of uses.values()) expect(used).toBeGreaterThanOrEqual(0)
      }
    }),
    { numRuns: 300 },
  )
})

describe('tentative', () => {
  const play = (steps: readonly Step[]): TreeSpend => {
    const tree = emptySpend()
    for (const step of steps) change(tree, event(step))
    return tree
  }
  const ids = [1, 2, 3, 4, 5, 6].map(dec)
  const calls = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `call-${String(n).padStart(16, '0')}`)
  const look = (view: ReturnType<typeof tentative>) => ({
    ...view,
    ahead: undefined,
    links: [1, 2, 3].map((n) => view.links.get(dlg(n))),
    allows: ids.map((id) => [view.allows.has(id), view.allows.get(id)]),
    byCall: calls.map((call) => [view.byCall.has(call), view.byCall.get(call)]),
    byStepUp: view.byStepUp.get(idOf('req', 1)),
    byProof: ids.map((_, n) => [view.byProof.has(proofOf(n)), view.byProof.get(proofOf(n))]),
  })

  it('shows what the tree itself would become, and leaves the tree as it is (V9)', () => {
    const some = fc.array(someStep, { maxLength: 20 })
    fc.assert(
      fc.property(some, some, (past, coming) => {
        const tree = play(past)
        const before = structuredClone(tree)
        const view = tentative(tree)
        const seen = coming.map((step) => change(view, event(step)))
        expect(look(view)).toEqual(look(play([...past, ...coming])))
        expect(tree).toEqual(before)
        expect(coming.map((step) => change(tree, event(step)))).toEqual(seen)
        expect(look(tree)).toEqual(look(view))
      }),
      { numRuns: 200 },
    )
  })

  it('of no tree is an empty one, and two views do not see each other', () => {
    const tree = play([{ type: 'decision.allowed', n: 1, amounts: amounts(1, '3') }])
    const [one, other] = [tentative(tree), tentative(tree)]
    expect(change(one, event({ type: 'decision.abandoned', n: 1 }))).toBe(true)
    expect(one.taken.calls).toBe(0n)
    expect(other.taken.calls).toBe(1n)
    expect(other.allows.get(dec(1))?.standing).toBe('open')
    expect(look(tentative())).toEqual(look(emptySpend()))
  })
})

describe("a human's yes to one action (V10)", () => {
  const first: Step = { type: 'decision.allowed', n: 1, stepUp: 1 }
  const second: Step = { type: 'decision.allowed', n: 2, stepUp: 1 }

  it('serves one ALLOW of any decision point: a second is void, in a batch too', () => {
    const state = fold([first])
    expect(state.apply(event({ ...second, version: 2 }))).toBe('void')
    expect(state.apply(event({ ...second, version: 2, stepUp: 2 }))).toBe('counts')
    const view = tentative(fold([first]).trees.get(root))
    expect(isUsed(view, idOf('req', 1))).toBe(true)
    expect(change(view, event(second))).toBe(false)
  })

  it('is used by an outcome of any kind, and not by an ALLOW that was taken back before its answer', () => {
    for (const type of ['outcome.reported', 'outcome.missing'] as const)
      expect(fold([first, { type, n: 1 }]).apply(event({ ...second, version: 3 }))).toBe('void')
    const back = fold([first, { type: 'decision.abandoned', n: 1 }, second])
    expect(back.apply(event({ type: 'decision.allowed', n: 3, stepUp: 1, version: 4 }))).toBe('void')
  })

  it('serves in each tree by itself: its statement names one', () => {
    const other = idOf('grt', 'other')
    expect(fold([first]).apply(event({ ...second, version: 1, tree: other }))).toBe('counts')
  })

  it('is remembered with when an outcome came', () => {
    const state = fold([first, { type: 'outcome.reported', n: 1, time: at(7) }])
    expect(state.trees.get(root)?.allows.get(dec(1))).toMatchObject({ stepUp: idOf('req', 1), reportedAt: noon + 7 })
  })
})

describe('what was done under delegations', () => {
  const under = (n: number, chain: number[], bytes = 0): Step => ({
    ...{ type: 'decision.allowed', n, chain },
    amounts: amounts(1, '3', bytes),
  })
  const of = (state: DecisionState, n: number) => state.trees.get(root)?.links.get(dlg(n))

  it('is taken of the tree once and of each link that it was under, and comes back to all of them (V9)', () => {
    const state = fold([under(1, [1, 2]), under(2, [1, 3]), under(3, [])])
    expect(spent(state)).toMatchObject({ taken: { calls: 3, cost: { EUR: '9' } } })
    expect(of(state, 1)?.taken).toMatchObject({ calls: 2n, cost: new Map([['EUR', 6_000_000n]]) })
    expect(of(state, 2)?.taken).toMatchObject({ calls: 1n, cost: new Map([['EUR', 3_000_000n]]) })
    expect(state.apply(event({ type: 'decision.abandoned', n: 1, version: 4 }))).toBe('counts')
    expect(of(state, 1)?.taken).toMatchObject({ calls: 1n, cost: new Map([['EUR', 3_000_000n]]) })
    expect(of(state, 2)).toMatchObject({ taken: { calls: 0n }, uses: new Map([[2, 0]]) })
    expect(of(state, 3)).toMatchObject({ taken: { calls: 1n }, uses: new Map([[3, 1]]) })
  })

  const outcome = (status: 'succeeded' | 'not_executed' | 'not_observed', egress_bytes?: number) =>
    signOutcome(
      {
        ...{ installation: 'ins_aaaaaaaaaaaaaaaaaaaa', enforcement_point: 'point', sequence: 1, status, at: at(0) },
        ...{ call_id: 'call_0000000000000000', decision_id: dec(1), action_digest: 'A'.repeat(43) },
        ...(egress_bytes === undefined ? {} : { egress_bytes }),
      },
      generateKey('outcome'),
    )
  it.each<[string, Step[], string | undefined, object]>([
    ['the bytes that its outcome reports', [], outcome('succeeded', 7), { sent: 7n, open: 1, unmeasured: 0 }],
    ['all, when no figure is reported', [], outcome('succeeded'), { sent: 0n, open: 1, unmeasured: 1 }],
    ['none, when nothing happened', [], outcome('not_executed'), { sent: 0n, open: 1, unmeasured: 0 }],
    ['all, when a proxy acted out of sight', [], outcome('not_observed', 0), { sent: 0n, open: 1, unmeasured: 1 }],
    ['all, when no outcome came', [{ type: 'outcome.missing', n: 1 }], undefined, { sent: 0n, open: 1, unmeasured: 1 }],
    [
      'what a late one says',
      [{ type: 'outcome.missing', n: 1 }],
      outcome('succeeded', 7),
      { sent: 7n, open: 1, unmeasured: 0 },
    ],
  ])('is charged %s, as each link is (V9)', (_, steps, signed, { sent, ...expected }: { sent?: bigint }) => {
    const state = fold([under(1, [1]), under(2, [1]), ...steps])
    if (signed !== undefined) {
      const reported = event({ type: 'outcome.reported', n: 1, version: 3 + steps.length })
      expect(state.apply({ ...reported, data: { ...reported.data, outcome: signed } } as never)).toBe('counts')
    }
    for (const each of [state.trees.get(root), of(state, 1)])
      expect(each).toMatchObject({ ...expected, taken: { egressBytes: sent } })
  })

  it.each<[string, Step[], string | undefined, bigint]>([
    ['what its outcome says was sent', [], outcome('succeeded', 7), 7n],
    ['all of it, when the outcome does not say', [], outcome('succeeded'), 10n],
    ['nothing of it, when nothing happened', [], outcome('not_executed'), 0n],
    ['all of it, when a proxy acted out of sight', [], outcome('not_observed', 0), 10n],
    ['all of it, when no outcome came', [{ type: 'outcome.missing', n: 1 }], undefined, 10n],
    ['all of it, even if a late outcome says less', [{ type: 'outcome.missing', n: 1 }], outcome('succeeded', 7), 10n],
    ['what was sent beyond it', [], outcome('succeeded', 12), 12n],
    ['what was sent beyond it, late', [{ type: 'outcome.missing', n: 1 }], outcome('succeeded', 12), 12n],
    ['nothing of it, when it was taken back', [{ type: 'decision.abandoned', n: 1 }], undefined, 0n],
  ])('of the bytes that were reserved is charged %s, as each link is (V9)', (_, steps, signed, sent) => {
    const state = fold([under(1, [1], 10), under(2, [1], 5), ...steps])
    if (signed !== undefined) {
      const reported = event({ type: 'outcome.reported', n: 1, version: 3 + steps.length })
      expect(state.apply({ ...reported, data: { ...reported.data, outcome: signed } } as never)).toBe('counts')
    }
    for (const each of [state.trees.get(root), of(state, 1)])
      expect(each).toMatchObject({ unmeasured: 0, taken: { egressBytes: sent + 5n } })
  })

  it('is history of every agent that had a part in it', () => {
    const { history } = fold([under(1, [1, 2])])
    for (const name of ['sub-1', 'sub-2'])
      expect(history.of(`spiffe://example.org/agent/${name}`, noon)).toMatchObject({ calls: 1 })
    expect(history.of('spiffe://example.org/agent/sub-3', noon)).toMatchObject({ calls: 0 })
  })
})

describe('a proof (V10)', () => {
  const first: Step = { type: 'decision.allowed', n: 1, proof: 1 }
  const second: Step = { type: 'decision.allowed', n: 2, proof: 1 }

  it('serves one ALLOW of its tree, however that ended: a second is void, in a batch too', () => {
    const ends = ['decision.abandoned', 'outcome.reported', 'outcome.missing'] as const
    for (const past of [[], ...ends.map((type): Step[] => [{ type, n: 1 }])]) {
      const state = fold([first, ...past])
      const version = past.length + 2
      expect(state.apply(event({ ...second, version }))).toBe('void')
      expect(change(tentative(state.trees.get(root)), event(second))).toBe(false)
      expect(state.apply(event({ ...second, version, proof: 2 }))).toBe('counts')
    }
    const view = tentative()
    expect([first, second].map((step) => change(view, event(step)))).toEqual([true, false])
  })

  it('of an ALLOW that is void is as new', () => {
    const state = fold([first])
    expect(state.apply(event({ ...second, proof: 2, version: 1 }))).toBe('void')
    expect(state.apply(event({ ...second, proof: 2, version: 2 }))).toBe('counts')
  })

  it('serves in each tree by itself: it is over one credential, which is of one tree', () => {
    const other = idOf('grt', 'other')
    expect(fold([first]).apply(event({ ...second, version: 1, tree: other }))).toBe('counts')
  })

  it('that an event of an older log does not name is compared with none', () => {
    const unnamed = (n: number, version: number) => {
      const { data, ...rest } = event({ type: 'decision.allowed', n, version })
      const { proof_id: _, ...older } = data as { proof_id?: string }
      return { ...rest, data: older } as DecodedEvent<'decisions.v1'>
    }
    const state = new DecisionState({ base: false })
    expect([unnamed(1, 1), unnamed(2, 2)].map((each) => state.apply(each))).toEqual(['counts', 'counts'])
  })
})
