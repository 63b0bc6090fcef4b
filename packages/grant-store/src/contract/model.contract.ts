import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Break, faultyGrantStore } from '../faulty-grant-store.ts'
import type { GrantStore, TreeState } from '../grant-store.ts'
import { anInstance, aRoot, type OpenUnderTest, START, untilAnswered } from './fixtures.ts'
import { type TreeModel, treeModel } from './model.ts'

/** One call; versions and times are relative to the tree and the moment, so that most calls do something. */
type Step =
  | { call: 'advance'; takeId: string; off: number; amounts: Record<string, bigint>; labels: string[] }
  | { call: 'settle'; takeId: string; off: number; giveBack: Record<string, bigint> }
  | { call: 'refill' | 'reset'; off: number; left: Record<string, bigint>; lives: number }
  | { call: 'pass'; ms: number }

const takeId = fc.constantFrom('t1', 't2', 't3', 't4', 't5', 't6')
const near = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: -2, max: 2 }) },
)
const amount = fc.oneof(fc.bigInt({ min: 0n, max: 12n }), fc.constant(2n ** 53n + 1n))
const amounts = fc.dictionary(fc.constantFrom('calls', 'cost:EUR', 'uses:1'), amount, { noNullPrototype: true })
const labels = fc.uniqueArray(fc.constantFrom('private', 'external', 'untrusted'))
const lives = fc.integer({ min: 1, max: 400 })

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ call: fc.constant('advance' as const), takeId, off: near, amounts, labels }) },
  { weight: 4, arbitrary: fc.record({ call: fc.constant('settle' as const), takeId, off: near, giveBack: amounts }) },
  {
    weight: 1,
    arbitrary: fc.record({
      call: fc.constantFrom('refill' as const, 'reset' as const),
      off: near,
      left: amounts,
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
  { maxLength: 40 },
)

/** Any sequence of calls, through two instances, over a connection that breaks: told by the model, and never overspent. */
export function modelContract(open: OpenUnderTest): void {
  it('agrees with the model under any interleaving of takes, settlements, refills, expiry and lost answers (V9, V10)', async () => {
    await using subject = await open()
    const stores: [GrantStore, GrantStore] = [await anInstance(subject), await anInstance(subject)]
    await fc.assert(
      fc.asyncProperty(steps, async (history) => {
        const root = aRoot()
        const model = treeModel()
        const ledger = aLedger()
        let now = START
        for (const { step, instance, where } of history) {
          if (step.call === 'pass') {
            now += step.ms
            continue
          }
          const version = model.tree()?.version ?? 1
          let breaks = 1
          const store = faultyGrantStore(stores[instance] ?? stores[0], () => (breaks-- > 0 ? where : undefined))
          const told = tell(model, step, version, now)
          // A call whose answer was lost happened, and happens once more.
          const expected = where === 'after' ? tell(model, step, version, now) : told
          const answer = await untilAnswered(() => ask(store, root, step, version, now))
          expect(answer).toEqual(expected)
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

/** The law itself, without the model: since the tree was put, what is left lies between all taken and nothing taken. */
function aLedger() {
  let put: Record<string, bigint> = {}
  let taken: Record<string, bigint> = {}
  let takes = new Set<string>()
  return {
    check(step: Exclude<Step, { call: 'pass' }>, told: ReturnType<typeof tell>, tree: TreeState | undefined) {
      if ((step.call === 'refill' || step.call === 'reset') && told === true) {
        put = step.left
        taken = {}
        takes = new Set()
      }
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

function sorted(tree: TreeState | undefined): TreeState | undefined {
  return tree && { ...tree, labels: tree.labels.toSorted() }
}
