import { describe, expect, it } from 'vitest'
import { aRoot, aTake, aTree, ENDS_AT, HUGE, type OpenUnderTest, START, takeFromNewest, withTree } from './fixtures.ts'

/** A tree's version, its remainder, and its life. */
export function treesContract(open: OpenUnderTest): void {
  describe('a version', () => {
    it('is advanced by exactly one of many takers from it', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      const answers = await Promise.all(Array.from({ length: 64 }, () => store.advance(root, aTake())))
      expect(answers.filter((a) => a.outcome === 'advanced')).toHaveLength(1)
      expect(answers.filter((a) => a.outcome === 'ahead')).toHaveLength(63)
      expect(await store.get(root)).toEqual(aTree({ version: 2, left: { calls: 9n } }))
    })

    it('that a taker has not seen is ahead, one that the store has not seen behind, and neither takes', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject, { version: 5 })
      expect(await store.advance(root, aTake({ from: 4 }))).toEqual({ outcome: 'ahead', version: 5 })
      expect(await store.advance(root, aTake({ from: 6 }))).toEqual({ outcome: 'behind', version: 5 })
      expect(await store.get(root)).toEqual(aTree({ version: 5 }))
    })

    it('may be skipped by a taker that numbers several events at once', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      expect(await store.advance(root, aTake({ from: 1, to: 4 }))).toEqual({ outcome: 'advanced' })
      expect((await store.get(root))?.version).toBe(4)
    })

    it.each([[1], [0], [Number.NaN]])('never leads from 1 to %d', async (to) => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      await expect(store.advance(root, aTake({ to }))).rejects.toMatchObject({ code: 'internal' })
      expect(await store.get(root)).toEqual(aTree())
    })

    it('of one tree says nothing about another', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      const other = aRoot()
      await store.refill(other, aTree({ version: 7 }))
      await store.advance(root, aTake())
      expect(await store.get(other)).toEqual(aTree({ version: 7 }))
    })
  })

  describe('what is left', () => {
    it('is never overspent by 64 takers of several instances (V9, V10)', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject, { left: { calls: 1000n, 'uses:2': 10n } })
      const others = await Promise.all([subject.connect(), subject.connect(), subject.connect()])
      for (const other of others) await other.adopt()
      const stores = [store, ...others]
      const answers = await Promise.all(
        Array.from({ length: 64 }, (_, n) =>
          takeFromNewest(stores[n % stores.length] ?? store, root, { calls: 1n, 'uses:2': 1n }),
        ),
      )
      expect(answers.filter((a) => a === 'advanced')).toHaveLength(10)
      expect(await store.get(root)).toEqual(aTree({ version: 11, left: { calls: 990n, 'uses:2': 0n } }))
    })

    it('is never overspent by takers of different amounts (V9)', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject, { left: { 'cost:EUR': 500n } })
      const amounts = Array.from({ length: 64 }, (_, n) => BigInt(1 + ((n * 37) % 50)))
      const answers = await Promise.all(amounts.map((amount) => takeFromNewest(store, root, { 'cost:EUR': amount })))
      const taken = amounts.filter((_, n) => answers[n] === 'advanced').reduce((sum, amount) => sum + amount, 0n)
      expect(taken).toBeLessThanOrEqual(500n)
      expect((await store.get(root))?.left).toEqual({ 'cost:EUR': 500n - taken })
    })

    it('of one resource being too little takes nothing of the others, and moves nothing (V9)', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject, { left: { calls: 5n, egress_bytes: 99n } })
      const take = aTake({ amounts: { calls: 1n, egress_bytes: 100n }, labels: ['private'] })
      expect(await store.advance(root, take)).toEqual({ outcome: 'exhausted', resource: 'egress_bytes' })
      expect(await store.get(root)).toEqual(aTree({ left: { calls: 5n, egress_bytes: 99n } }))
    })

    it('can be taken to the last unit, and not one further (V9)', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject, { left: { calls: 2n } })
      expect(await store.advance(root, aTake({ amounts: { calls: 2n } }))).toEqual({ outcome: 'advanced' })
      const answer = await store.advance(root, aTake({ from: 2, amounts: { calls: 1n } }))
      expect(answer).toEqual({ outcome: 'exhausted', resource: 'calls' })
    })

    it('is counted exactly, up to 2^63 - 1 (V9)', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject, { left: { 'cost:EUR': HUGE } })
      expect(await store.advance(root, aTake({ amounts: { 'cost:EUR': 1n } }))).toEqual({ outcome: 'advanced' })
      expect((await store.get(root))?.left).toEqual({ 'cost:EUR': HUGE - 1n })
      expect(await store.advance(root, aTake({ from: 2, amounts: { 'cost:EUR': HUGE } }))).toMatchObject({
        outcome: 'exhausted',
      })
      expect(await store.advance(root, aTake({ from: 2, amounts: { 'cost:EUR': HUGE - 1n } }))).toEqual({
        outcome: 'advanced',
      })
      expect((await store.get(root))?.left).toEqual({ 'cost:EUR': 0n })
    })

    it.each([[-1n], [2n ** 63n]])('refuses the amount %d and changes nothing (V9)', async (amount) => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      const bad = { calls: amount }
      await expect(store.advance(root, aTake({ amounts: bad }))).rejects.toMatchObject({ code: 'internal' })
      await expect(store.settle(root, { takeId: 'dec_0', to: 2, giveBack: bad })).rejects.toMatchObject({
        code: 'internal',
      })
      await expect(store.refill(root, aTree({ version: 2, left: bad }))).rejects.toMatchObject({ code: 'internal' })
      await expect(store.reset(root, aTree({ version: 2, left: bad }))).rejects.toMatchObject({ code: 'internal' })
      expect(await store.get(root)).toEqual(aTree())
    })

    it('does not limit a resource that the tree has no limit for', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      expect(await store.advance(root, aTake({ amounts: { egress_bytes: HUGE } }))).toEqual({ outcome: 'advanced' })
      expect(await store.get(root)).toEqual(aTree({ version: 2 }))
    })

    it.each([['__proto__'], ['constructor'], ['cost: €'], [''], ['a:b}{c']])(
      'is counted for a resource named %j as for any other (V9)',
      async (resource) => {
        await using subject = await open()
        const { store, root } = await withTree(subject, { left: Object.fromEntries([[resource, 1n]]) })
        const amounts = Object.fromEntries([[resource, 1n]])
        expect(await store.advance(root, aTake({ amounts }))).toEqual({ outcome: 'advanced' })
        expect(await store.advance(root, aTake({ from: 2, amounts }))).toEqual({ outcome: 'exhausted', resource })
      },
    )
  })

  describe('a tree', () => {
    it('collects the labels of its takes, each once', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject, { labels: ['private'] })
      await store.advance(root, aTake({ labels: ['external', 'private', 'external'] }))
      await store.advance(root, aTake({ from: 2, labels: ['untrusted'] }))
      const tree = await store.get(root)
      expect(tree?.labels.toSorted()).toEqual(['external', 'private', 'untrusted'])
    })

    it('refuses a take of any version from expiresAt on, by the time given, a repeated take included', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      const take = aTake({ now: ENDS_AT - 1 })
      expect(await store.advance(root, take)).toEqual({ outcome: 'advanced' })
      expect(await store.advance(root, { ...take, now: ENDS_AT })).toEqual({ outcome: 'expired' })
      expect(await store.advance(root, aTake({ from: 2, now: ENDS_AT }))).toEqual({ outcome: 'expired' })
      expect(await store.advance(root, aTake({ from: 9, now: ENDS_AT + 1 }))).toEqual({ outcome: 'expired' })
      expect(await store.advance(root, aTake({ from: 2, now: ENDS_AT - 1 }))).toEqual({ outcome: 'advanced' })
    })

    it('is absent until it is put', async () => {
      await using subject = await open()
      const { store } = await withTree(subject)
      const root = aRoot()
      expect(await store.get(root)).toBeUndefined()
      expect(await store.advance(root, aTake())).toEqual({ outcome: 'absent' })
      await store.settle(root, { takeId: 'dec_0', to: 2, giveBack: { calls: 1n } })
      expect(await store.get(root)).toBeUndefined()
    })

    it('has an id of any length and content', async () => {
      await using subject = await open()
      const { store } = await withTree(subject)
      const long = 'x'.repeat(100_000)
      const roots = [long, `${long}y`, '', '{', '}{a}', 'a\u0000', 'a\u0000\u0000', '\uffff']
      for (const [n, root] of roots.entries()) await store.refill(root, aTree({ version: n + 1 }))
      for (const [n, root] of roots.entries()) {
        expect(await store.advance(root, aTake({ from: n + 1, takeId: long }))).toEqual({ outcome: 'advanced' })
        expect((await store.get(root))?.version).toBe(n + 2)
      }
    })
  })

  describe('a refill', () => {
    it('puts a tree that the store does not have, and a newer one', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject, { version: 3, labels: ['private'] })
      const newer = aTree({ version: 4, left: { calls: 2n, egress_bytes: 7n }, expiresAt: ENDS_AT + 1 })
      expect(await store.refill(root, newer)).toBe(true)
      expect(await store.get(root)).toEqual(newer)
    })

    it('never lowers a version, and never raises what is left at the same one (V9)', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject, { version: 3 })
      await store.advance(root, aTake({ from: 3 }))
      const taken = aTree({ version: 4, left: { calls: 9n } })
      expect(await store.refill(root, aTree({ version: 3 }))).toBe(false)
      expect(await store.refill(root, aTree({ version: 4 }))).toBe(false)
      expect(await store.get(root)).toEqual(taken)
    })

    it('by many at once puts the newest', async () => {
      await using subject = await open()
      const { store, root } = await withTree(subject)
      const versions = Array.from({ length: 32 }, (_, n) => 2 + ((n * 7) % 32))
      await Promise.all(
        versions.map((version) => store.refill(root, aTree({ version, left: { calls: BigInt(version) } }))),
      )
      expect(await store.get(root)).toEqual(aTree({ version: 33, left: { calls: 33n } }))
    })
  })

  it('a reset replaces a tree of any version, its reservations included', async () => {
    await using subject = await open()
    const { store, root } = await withTree(subject, { version: 3 })
    const dead = aTake({ from: 3, amounts: { calls: 4n }, labels: ['private'] })
    await store.advance(root, dead)
    const fromLog = aTree({ version: 3, left: { calls: 8n }, expiresAt: ENDS_AT - 1 })
    expect(await store.reset(root, fromLog)).toBe(true)
    expect(await store.get(root)).toEqual(fromLog)
    await store.settle(root, { takeId: dead.takeId, to: 4, giveBack: { calls: 4n } })
    expect(await store.get(root)).toEqual(fromLog)
    expect(await store.advance(root, aTake({ from: 3, now: START }))).toEqual({ outcome: 'advanced' })
  })
}
