import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Break, faultyGrantStore } from '../faulty-grant-store.ts'
import type { GrantStore, TreeState } from '../grant-store.ts'
import { anInstance, aRoot, type OpenUnderTest, START, untilAnswered } from './fixtures.ts'
import { type TreeModel, treeModel } from './model.ts'

/** One call. Versions and times are relative to the tree and the moment, so that most calls have an effect. */
type Step =
  | { call: 'advance'; takeId: string; off: number; amounts: Record<string, bigint>; labels: string[] }
  | { call: 'settle'; takeId: string; off: number; giveBack: Record<string, bigint> }
  | { call: 'refill' | 'reset'; off: number; left: Record<string, bigint>; lives: number }
  | { call: 'pass'; ms: number }

const takeId = fc.nat({ max: 9 }).map((n) => `dec_${n}`)
const near = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: -2, max: 2 }) },
)
const resources = fc.constantFrom('calls', 'cost:EUR', 'uses:1')
/** Amounts of up to `max`, and occasionally one that a double cannot hold. */
const amountsTo = (max: bigint) =>
  fc.dictionary(
    resources,
    fc.oneof(
      { weight: 5, arbitrary: fc.bigInt({ min: 0n, max }) },
      { weight: 1, arbitrary: fc.constant(2n ** 53n + 1n) },
    ),
    { noNullPrototype: true },
  )
const wanted = amountsTo(5n)
const limits = amountsTo(20n)
const labels = fc.uniqueArray(fc.constantFrom('private', 'external', 'untrusted'))
const lives = fc.integer({ min: 1, max: 400 })

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ call: fc.constant('advance' as const), takeId, off: near, amounts: wanted, labels }),
  },
  { weight: 4, arbitrary: fc.record({ call: fc.constant('settle' as const), takeId, off: near, giveBack: wanted }) },
  {
    weight: 1,
    arbitrary: fc.record({
      call: fc.constantFrom('refill' as const, 'reset' as const),
      off: near,
      left: limits,
      lives,
    }),
  },
  { weight: 1, arbitrary: fc.record({ call: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 100 }) }) },
)

const steps = fc.array(
  fc.record({
    step,
    instance: fc.nat({ max: 1 }),
    where: fc.constantFrom<Break | undefined>('before', 'after', undefined),
  }),
  { minLength: 10, maxLength: 40, size: 'max' },
)

/**
 * Any sequence of calls, through two instances, over a connection that breaks. The model predicts each answer, and nothing is overspent.
 */
export function modelContract(open: OpenUnderTest): void {
  it('agrees with the model under any interleaving of takes, settlements, refills, expiry and lost answers (V9, V10)', async () => {
    await using subject = await open()
    const stores: [GrantStore, GrantStore] = [await anInstance(subject), await anInstance(subject)]
    await fc.assert(
      fc.asyncProperty(limits, steps, async (start, history) => {
        const root = aRoot()
        const model = treeModel()
        const ledger = aLedger()
        let now = START
        const first = { version: 1, left: start, labels: [], expiresAt: START + 400 }
        await stores[0].refill(root, first)
        model.refill(first)
        ledger.put(start)
        for (const { step, instance, where } of history) {
          if (step.call === 'pass') {
            now += step.ms
            continue
          }
          const version = model.tree()?.version ?? 1
          let breaks = 1
          const store = faultyGrantStore(stores[instance] ?? stores[0], () => (breaks-- > 0 ? where : undefined))
          const told = tell(model, step, version, now)
          // A call whose answer was lost has happened, and happens once more.
          const expected = where === 'after' ? tell(model, step, version, now) : told
          const answer = await untilAnswered(() => ask(store, root, step, version, now))
          expect(comparable(answer)).toEqual(comparable(expected))
          const tree = await stores[1 - instance]?.get(root)
          expect(sorted(tree)).toEqual(sorted(model.tree()))
          ledger.check(step, told, tree)
        }
      }),
      { numRuns: 150 },
    )
  }, 60_000)
}

function ask(
  store: GrantStore,
  root: string,
  step: Exclude<Step, { call: 'pass' }>,
  version: number,
  now: number,
): Promise<unknown> {
  const at = version + step.off
  switch (step.call) {
    case 'advance':
      return store.advance(root, { ...step, from: at, to: at + 1, now })
    case 'settle':
      return store.settle(root, { ...step, to: at + 1 })
    default:
      return store[step.call](root, { version: at + 1, left: step.left, labels: [], expiresAt: now + step.lives })
  }
}

function tell(model: TreeModel, step: Exclude<Step, { call: 'pass' }>, version: number, now: number) {
  const at = version + step.off
  switch (step.call) {
    case 'advance':
      return model.advance({ ...step, from: at, to: at + 1, now })
    case 'settle':
      return model.settle({ ...step, to: at + 1 })
    default:
      return model[step.call]({ version: at + 1, left: step.left, labels: [], expiresAt: now + step.lives })
  }
}

/** The law itself, without the model: since the tree was put, the remainder lies between everything taken and nothing taken. */
function aLedger() {
  let put: Record<string, bigint> = {}
  let taken: Record<string, bigint> = {}
  let takes = new Set<string>()
  return {
    put(left: Record<string, bigint>) {
      put = left
      taken = {}
      takes = new Set()
    },
    check(step: Exclude<Step, { call: 'pass' }>, told: ReturnType<typeof tell>, tree: TreeState | undefined) {
      if ((step.call === 'refill' || step.call === 'reset') && told === true) this.put(step.left)
      if (
        step.call === 'advance' &&
        typeof told === 'object' &&
        told.outcome === 'advanced' &&
        !takes.has(step.takeId)
      ) {
        takes.add(step.takeId)
        for (const [resource, n] of Object.entries(step.amounts)) taken[resource] = (taken[resource] ?? 0n) + n
      }
      for (const [resource, left] of Object.entries(tree?.left ?? {})) {
        const most = put[resource] ?? 0n
        expect(left >= 0n && left <= most && left >= most - (taken[resource] ?? 0n), `${resource}: ${left}`).toBe(true)
      }
    },
  }
}

/** If the remainder of several resources is too small, the adapter chooses which one it names. */
function comparable(answer: unknown): unknown {
  const exhausted = typeof answer === 'object' && answer !== null && 'resource' in answer
  return exhausted ? { ...answer, resource: 'one of them' } : answer
}

function sorted(tree: TreeState | undefined): TreeState | undefined {
  return tree && { ...tree, labels: tree.labels.toSorted() }
}
