import { describe, expect, it } from 'vitest'
import { type Break, faultyGrantStore, type GrantStoreMethod } from '../faulty-grant-store.ts'
import type { GrantStore } from '../grant-store.ts'
import { aTake, aTree, ENDS_AT, type OpenUnderTest, START, untilAnswered, withTree } from './fixtures.ts'

const bothSides: [Break][] = [['before'], ['after']]

/** The store over a connection that breaks at the first call of `broken`. */
function breakingOnce(real: GrantStore, broken: GrantStoreMethod, where: Break): GrantStore {
  let breaks = 1
  return faultyGrantStore(real, (method) => (method === broken && breaks-- > 0 ? where : undefined))
}

/** One take: repeated, and settled. */
export function takesContract(open: OpenUnderTest): void {
  describe('a take whose answer was lost', () => {
    it.each(bothSides)('takes once when the connection breaks %s it and it is asked for again (V10)', async (where) => {
      await using subject = await open()
      const { store: real, root } = await withTree(subject)
      const store = breakingOnce(real, 'advance', where)
      const take = aTake({ amounts: { calls: 3n } })
      expect(await untilAnswered(() => store.advance(root, take))).toEqual({ outcome: 'advanced' })
      expect(await real.get(root)).toEqual(aTree({ version: 2, left: { calls: 7n } }))
    })

    it('takes once though others took since, and though nothing would be left for it (V10)', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject, { left: { calls: 2n } })
      const take = aTake()
      await store.advance(root, take)
      await store.advance(root, aTake({ from: 2 }))
      expect(await store.advance(root, take)).toEqual({ outcome: 'advanced' })
      expect(await store.get(root)).toEqual(aTree({ version: 3, left: { calls: 0n } }))
    })

    it('takes once when it is asked for 64 times at once, through two instances (V10)', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      const other = await subject.connect()
      await other.adopt()
      const take = aTake()
      const answers = await Promise.all(
        Array.from({ length: 64 }, (_, n) => (n % 2 === 0 ? store : other).advance(root, take)),
      )
      expect(answers).toEqual(answers.map(() => ({ outcome: 'advanced' })))
      expect(await store.get(root)).toEqual(aTree({ version: 2, left: { calls: 9n } }))
    })

    it('does not take twice across a refill or a reset, which forget it (V10)', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      const take = aTake()
      await store.advance(root, take)
      await store.refill(root, aTree({ version: 3, left: { calls: 8n } }))
      expect(await store.advance(root, take)).toEqual({ outcome: 'ahead', version: 3 })
      await store.reset(root, aTree())
      expect(await store.advance(root, take)).toEqual({ outcome: 'advanced' })
      expect(await store.get(root)).toEqual(aTree({ version: 2, left: { calls: 9n } }))
    })

    it('is not mistaken for one that was refused', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject, { left: { calls: 1n } })
      const take = aTake({ amounts: { calls: 2n } })
      expect(await store.advance(root, take)).toMatchObject({ outcome: 'exhausted' })
      expect(await store.advance(root, take)).toMatchObject({ outcome: 'exhausted' })
      expect(await store.advance(root, { ...take, from: 7, to: 8 })).toMatchObject({ outcome: 'behind' })
      expect(await store.advance(root, { ...take, amounts: { calls: 1n } })).toEqual({ outcome: 'advanced' })
    })
  })

  it('a take of no call and no use moves the version, and is settled like any other (V9)', async () => {
    await using subject = await open()
    const { store, root } = await withTree(subject, { left: { calls: 0n, 'uses:0': 0n, egress_bytes: 9n } })
    const take = aTake({ amounts: { calls: 0n, 'uses:0': 0n, egress_bytes: 5n } })
    expect(await store.advance(root, take)).toEqual({ outcome: 'advanced' })
    expect(await store.advance(root, aTake({ amounts: take.amounts }))).toMatchObject({ outcome: 'ahead' })
    const giveBack = { calls: 1n, 'uses:0': 1n, egress_bytes: 2n }
    await store.settle(root, { takeId: take.takeId, to: 3, giveBack })
    expect(await store.get(root)).toEqual(aTree({ version: 3, left: { calls: 0n, 'uses:0': 0n, egress_bytes: 6n } }))
  })

  describe('a settlement', () => {
    it.each(bothSides)('gives back once when the connection breaks %s it (V9)', async (where) => {
      await using subject = await open()
      const { store: real, root } = await withTree(subject)
      const take = aTake({ amounts: { calls: 5n } })
      await real.advance(root, take)
      const store = breakingOnce(real, 'settle', where)
      await untilAnswered(() => store.settle(root, { takeId: take.takeId, to: 3, giveBack: { calls: 2n } }))
      expect(await real.get(root)).toEqual(aTree({ version: 3, left: { calls: 7n } }))
    })

    it('gives back once, even if others repeat it with other amounts (V9)', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      const take = aTake({ amounts: { calls: 5n } })
      await store.advance(root, take)
      await Promise.all(
        Array.from({ length: 16 }, () => store.settle(root, { takeId: take.takeId, to: 3, giveBack: { calls: 5n } })),
      )
      await store.settle(root, { takeId: take.takeId, to: 4, giveBack: { calls: 5n } })
      expect(await store.get(root)).toEqual(aTree({ version: 3, left: { calls: 10n } }))
      expect(await store.advance(root, take)).toEqual({ outcome: 'advanced' })
      expect(await store.get(root)).toEqual(aTree({ version: 3, left: { calls: 10n } }))
    })

    it('gives back no more than was reserved, and only of what was reserved (V9)', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject, { left: { calls: 10n, egress_bytes: 10n } })
      const take = aTake({ amounts: { calls: 2n } })
      await store.advance(root, take)
      const giveBack = { calls: 9n, egress_bytes: 5n, 'cost:EUR': 1n }
      await store.settle(root, { takeId: take.takeId, to: 3, giveBack })
      expect(await store.get(root)).toEqual(aTree({ version: 3, left: { calls: 10n, egress_bytes: 10n } }))
    })

    it('of nothing moves the version: what was reserved is spent', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      const take = aTake({ amounts: { calls: 5n } })
      await store.advance(root, take)
      await store.settle(root, { takeId: take.takeId, to: 3, giveBack: {} })
      await store.settle(root, { takeId: take.takeId, to: 4, giveBack: { calls: 5n } })
      expect(await store.get(root)).toEqual(aTree({ version: 3, left: { calls: 5n } }))
    })

    it('at a version that the tree has reached already gives back and moves nothing', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      const take = aTake({ amounts: { calls: 5n } })
      await store.advance(root, take)
      await store.advance(root, aTake({ from: 2, to: 6 }))
      await store.settle(root, { takeId: take.takeId, to: 3, giveBack: { calls: 5n } })
      expect(await store.get(root)).toEqual(aTree({ version: 6, left: { calls: 9n } }))
    })

    it.each([
      ['of a take that the store does not know', 3, 'dec_unknown'],
      ['past a version that the store missed', 4, undefined],
    ])('%s changes nothing, so that the next taker finds the tree behind', async (_, to, takeId) => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      const take = aTake({ amounts: { calls: 5n } })
      await store.advance(root, take)
      await store.settle(root, { takeId: takeId ?? take.takeId, to, giveBack: { calls: 5n } })
      expect(await store.get(root)).toEqual(aTree({ version: 2, left: { calls: 5n } }))
      expect(await store.advance(root, aTake({ from: to }))).toEqual({ outcome: 'behind', version: 2 })
    })

    it('of a take that a refill included already gives nothing back (V9)', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      const take = aTake({ amounts: { calls: 5n } })
      await store.advance(root, take)
      const settled = aTree({ version: 3, left: { calls: 10n } })
      await store.refill(root, settled)
      await store.settle(root, { takeId: take.takeId, to: 3, giveBack: { calls: 5n } })
      expect(await store.get(root)).toEqual(settled)
    })

    it('names a take of its own tree only (V9)', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      const { root: other } = await withTree(subject)
      const take = aTake()
      await store.advance(root, take)
      await store.advance(other, aTake())
      await store.settle(other, { takeId: take.takeId, to: 3, giveBack: { calls: 1n } })
      expect(await store.get(other)).toEqual(aTree({ version: 2, left: { calls: 9n } }))
    })

    it('still gives back after the tree expired, which stays refused', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      const take = aTake({ now: START })
      await store.advance(root, take)
      await store.settle(root, { takeId: take.takeId, to: 3, giveBack: { calls: 1n } })
      expect(await store.advance(root, aTake({ from: 3, now: ENDS_AT }))).toEqual({ outcome: 'expired' })
    })
  })

  it.each(bothSides)('a tree is put once when the connection breaks %s a refill or a reset', async (where) => {
    await using subject = await open()
    const { store: real, root } = await withTree(subject)
    const newer = aTree({ version: 2 })
    const refilling = breakingOnce(real, 'refill', where)
    await untilAnswered(() => refilling.refill(root, newer))
    expect(await real.get(root)).toEqual(newer)
    const resetting = breakingOnce(real, 'reset', where)
    expect(await untilAnswered(() => resetting.reset(root, aTree()))).toBe(true)
    expect(await real.get(root)).toEqual(aTree())
  })
}
