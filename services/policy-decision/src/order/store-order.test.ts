import { setImmediate } from 'node:timers/promises'
import { change, type DecisionFacts, emptySpend } from '@bailiwick/projection'
import { expect, it } from 'vitest'
import { spell } from '../steps/living-call.fixture.ts'
import { StoreOrder } from './store-order.ts'
import { allowedDraft, treeOrder } from './tree-order.fixture.ts'

/** A tree at version 3, from which one call, a use and EUR 2.50 were taken. */
function ordered(root = 'grt_1') {
  const world = treeOrder()
  const spend = { ...emptySpend(), version: 3, head: 'evt_3' }
  const { type, data } = allowedDraft('before')
  change(spend, { type, data, time: spell(world.order.now) } as DecisionFacts)
  world.trees.set('grt_1', spend)
  const order = new StoreOrder(world.pdp, root, spend.version)
  const take = (to: number, amounts: Record<string, bigint> = { calls: 1n }) =>
    order.take({ takeId: `dec_${to}`, amounts, labels: ['l'] }, to)
  return { ...world, spend, take, storeOrder: order }
}
const asLogged = { calls: 8n, 'cost:EUR': 97_500_000n, 'uses:0': 4n }

it('takes one after the other, each from where the one before left the tree', async () => {
  const w = ordered()
  expect([await w.take(4), await w.take(5, { calls: 2n })]).toEqual(['taken', 'taken'])
  const { now } = w.order
  expect(w.store.advances).toEqual([
    { takeId: 'dec_4', from: 3, to: 4, amounts: { calls: 1n }, labels: ['l'], now },
    { takeId: 'dec_5', from: 4, to: 5, amounts: { calls: 2n }, labels: ['l'], now },
  ])
  expect([w.store.refills, w.store.resets, w.order.readopted]).toEqual([[], [], 0])
})

it.each([
  [{ outcome: 'exhausted', resource: 'uses:0' }, 'uses_reserved'],
  [{ outcome: 'exhausted', resource: 'calls' }, 'budget_reserved'],
  [{ outcome: 'expired' }, 'grant_expired'],
] as const)('what it refuses takes nothing: %j', async (answer, reason) => {
  const w = ordered()
  w.store.answers.push(answer, { outcome: 'behind', version: 2 })
  expect(await w.take(4, { calls: 2n })).toBe(reason)
  expect(await w.take(4)).toBe('taken')
  expect(w.store.advances.map(({ from }) => from)).toEqual([3, 3, 3])
  expect(w.store.refills).toMatchObject([{ version: 3, left: asLogged }])
})

it('a store that lost the tree gets what the log has, and what this batch took (V9)', async () => {
  const w = ordered()
  await w.take(4, { calls: 2n, 'cost:EUR': 500_000n })
  await w.take(5, { calls: 1n, 'uses:0': 9n })
  w.store.answers.push({ outcome: 'absent' })
  expect(await w.take(6)).toBe('taken')
  expect(w.order.readopted).toBe(1)
  // If more was taken than is left, the remainder is zero, not negative.
  const left = { calls: 5n, 'cost:EUR': 97_000_000n, 'uses:0': 0n }
  expect(w.store.refills).toEqual([{ version: 5, left, labels: ['l'], expiresAt: w.order.now + 60_000 }])
  expect(w.store.advances.slice(2)).toMatchObject([
    { takeId: 'dec_6', from: 5, to: 6 },
    { takeId: 'dec_6', from: 5, to: 6 },
  ])
})

it('one that is behind as well, whose epoch is as it was; and its word after that counts', async () => {
  const w = ordered()
  w.store.answers.push({ outcome: 'behind', version: 2 }, { outcome: 'exhausted', resource: 'calls' })
  expect(await w.take(4)).toBe('budget_reserved')
  expect([w.order.readopted, w.store.refills.length]).toEqual([0, 1])
})

it('one that knows nothing even then decides nothing: the log does', async () => {
  const w = ordered()
  w.store.answers.push({ outcome: 'absent' }, { outcome: 'absent' })
  expect(await w.take(4)).toBe('taken')
})

it('one that is ahead is waited for, once a batch, for as long as a writer may take', async () => {
  const w = ordered()
  w.store.answers.push({ outcome: 'ahead', version: 3 })
  expect([await w.take(4), await w.take(4)]).toEqual(['again', 'again'])
  expect(w.store.advances).toHaveLength(1)
  expect(w.order.waits).toEqual([1000])
  expect(w.store.resets).toEqual([]) // the projection has caught up with the store
})

it.each(['grt_1', 'grt_2'])('and where nothing comes, its writer died: %s', async (root) => {
  const w = ordered(root)
  w.store.answers.push({ outcome: 'ahead', version: 4 })
  // A tree without a grant has no state to reset it to, so the log alone decides.
  expect(await w.take(4)).toBe(root === 'grt_1' ? 'again' : 'taken')
  expect(w.store.resets).toMatchObject(root === 'grt_1' ? [{ version: 3, left: asLogged }] : [])
})

it('also of a tree that the projection has nothing of yet', async () => {
  const w = ordered()
  w.trees.clear()
  w.store.answers.push({ outcome: 'ahead', version: 4 })
  expect(await w.take(4)).toBe('again')
  expect(w.store.resets).toMatchObject([{ version: 0, left: { calls: 9n } }])
})

it('one that is away is asked once a batch: the log alone decides', async () => {
  const w = ordered()
  w.store.answers.push(new Error('away'))
  expect([await w.take(4), await w.take(5)]).toEqual(['taken', 'taken'])
  expect(w.store.advances).toHaveLength(1)
})

it('forgets what it took for what is void, once, by what the log has', async () => {
  const w = ordered()
  await w.take(4, { calls: 2n })
  w.storeOrder.forget()
  w.storeOrder.forget()
  await setImmediate()
  expect(w.store.resets).toMatchObject([{ version: 3, left: asLogged }])
  expect(w.told).toEqual([])
})

it.each([[{ resetFails: true }, 'grt_1'] as const, [{}, 'grt_2'] as const])(
  'or says that it could not: %j, %s',
  async (how, root) => {
    const w = ordered(root)
    Object.assign(w.store, how)
    w.storeOrder.forget()
    await setImmediate()
    expect(w.told).toEqual([['the grant store could not be reset', { tree: root }]])
  },
)
