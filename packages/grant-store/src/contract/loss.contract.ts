import { describe, expect, it } from 'vitest'
import type { GrantStore } from '../grant-store.ts'
import { anInstance, answerOf, aRoot, aTake, aTree, type OpenUnderTest, START, withTree } from './fixtures.ts'

/** Asserts that the instance no longer believes the store, and that the store no longer accepts the instance. */
async function expectNotAdopted(store: GrantStore, root: string): Promise<void> {
  expect(await answerOf(() => store.epoch())).toBeOneOf([undefined, 'no answer'])
  expect(await answerOf(() => store.get(root))).toBeOneOf([undefined, 'no answer'])
  expect(await answerOf(() => store.advance(root, aTake()))).toBeOneOf([{ outcome: 'absent' }, 'no answer'])
  expect(await answerOf(() => store.remember(aRoot(), START, START + 1_000))).toBeOneOf([undefined, 'no answer'])
  expect(await answerOf(() => store.refill(root, aTree({ version: 100 })))).toBeOneOf([false, 'no answer'])
  expect(await answerOf(() => store.reset(root, aTree({ version: 100 })))).toBeOneOf([false, 'no answer'])
}

/** What a store may lose, and that the loss is noticed. */
export function lossContract(open: OpenUnderTest): void {
  describe('an epoch', () => {
    it('is unknown to an instance until it adopts, and nothing is believed before', async () => {
      await using subject = await open()
      await expectNotAdopted(await subject.connect(), aRoot())
    })

    it('is one for all instances that adopt, at once or later, and their trees are one', async () => {
      await using subject = await open()
      const stores = await Promise.all(Array.from({ length: 8 }, () => subject.connect()))
      const epochs = await Promise.all(stores.map((store) => store.adopt()))
      expect(new Set(epochs).size).toBe(1)
      const { store, root } = await withTree(subject)
      expect(await store.epoch()).toBe(epochs[0])
      for (const other of stores) expect(await other.get(root)).toEqual(aTree())
    })

    it('stays when it is adopted again', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      expect(await store.adopt()).toBe(await store.epoch())
      expect(await store.get(root)).toEqual(aTree())
    })
  })

  const losses = [
    ['flushed', 'flush'],
    ['restarted', 'restart'],
    ['rolled back', 'rollback'],
  ] as const

  describe.each(losses)('a store that was %s', (_, lose) => {
    it('is not believed until it is adopted, under another epoch (V7, V10)', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      const before = await store.epoch()
      await subject.snapshot()
      await subject[lose]()
      await expectNotAdopted(store, root)
      const after = await subject.connect()
      await expectNotAdopted(after, root)
      expect(await after.adopt()).not.toBe(before)
    })

    it('starts without the earlier trees, and takes what the projection knows (V9)', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      await subject.snapshot()
      const lost = aTake({ amounts: { calls: 4n } })
      await store.advance(root, lost)
      await subject[lose]()

      const after = await anInstance(subject)
      expect(await after.get(root)).toBeUndefined()
      expect(await after.advance(root, aTake())).toEqual({ outcome: 'absent' })
      expect(await after.advance(root, lost)).toEqual({ outcome: 'absent' })
      await after.settle(root, { takeId: lost.takeId, to: 3, giveBack: { calls: 4n } })
      expect(await after.get(root)).toBeUndefined()

      // A tree from before the loss may be newer than the projection. It still counts as absent, and does not block a refill.
      const projected = aTree({ left: { calls: 6n } })
      expect(await after.refill(root, projected)).toBe(true)
      await after.settle(root, { takeId: lost.takeId, to: 2, giveBack: { calls: 4n } })
      expect(await after.get(root)).toEqual(projected)
      expect(await after.advance(root, aTake())).toEqual({ outcome: 'advanced' })
    })

    it('cannot be written by an instance that has not noticed, when another has (V9)', async () => {
      await using subject = await open()
      const { store: unaware, root } = await withTree(subject)
      await subject.snapshot()
      await subject[lose]()
      const aware = await anInstance(subject)
      await aware.refill(root, aTree({ version: 7, left: { calls: 1n } }))
      await expectNotAdopted(unaware, root)
      await answerOf(() => unaware.settle(root, { takeId: 'dec_0', to: 8, giveBack: { calls: 1n } }))
      expect(await aware.get(root)).toEqual(aTree({ version: 7, left: { calls: 1n } }))

      const joined = await subject.connect()
      expect(await joined.adopt()).toBe(await aware.epoch())
      expect(await joined.get(root)).toEqual(aTree({ version: 7, left: { calls: 1n } }))
    })
  })

  it('a tree set back within one run is behind its taker, and is refilled (V9)', async () => {
    await using subject = await open()
    const { store, root } = await withTree(subject, { version: 3 })
    await store.advance(root, aTake({ from: 3, amounts: { calls: 4n } }))
    await store.reset(root, aTree({ version: 3 }))
    expect(await store.advance(root, aTake({ from: 4 }))).toEqual({ outcome: 'behind', version: 3 })
    expect(await store.refill(root, aTree({ version: 4, left: { calls: 6n } }))).toBe(true)
    expect(await store.advance(root, aTake({ from: 4 }))).toEqual({ outcome: 'advanced' })
    expect((await store.get(root))?.left).toEqual({ calls: 5n })
  })
}
