import { describe, expect, it } from 'vitest'
import { faultyGrantStore } from '../faulty-grant-store.ts'
import { anInstance, aRoot, type OpenUnderTest, START } from './fixtures.ts'

const aProof = () => `jti-${aRoot()}`

/** What the store remembers apart from trees: proof ids, and counts of events by subject. */
export function memoryContract(open: OpenUnderTest): void {
  describe('a proof id', () => {
    it('is new to exactly one of many that show it at once, through several instances (V10)', async () => {
      await using subject = await open()
      const stores = await Promise.all([anInstance(subject), anInstance(subject), anInstance(subject)])
      const proof = aProof()
      const answers = await Promise.all(
        Array.from({ length: 63 }, (_, n) => stores[n % 3]?.remember(proof, START, START + 1_000)),
      )
      expect(answers.filter((a) => a === true)).toHaveLength(1)
      expect(answers.filter((a) => a === false)).toHaveLength(62)
    })

    it('is remembered until its expiry, by the time given (V10)', async () => {
      await using subject = await open()
      const store = await anInstance(subject)
      const proof = aProof()
      expect(await store.remember(proof, START, START + 1_000)).toBe(true)
      expect(await store.remember(proof, START + 999, START + 9_000)).toBe(false)
      expect(await store.remember(proof, START + 1_000, START + 2_000)).toBe(true)
      expect(await store.remember(proof, START + 1_999, START + 3_000)).toBe(false)
    })

    it('that is expired is never new (V10)', async () => {
      await using subject = await open()
      const store = await anInstance(subject)
      expect(await store.remember(aProof(), START, START)).toBe(false)
      expect(await store.remember(aProof(), START, START - 1)).toBe(false)
    })

    it('is spent by a call whose answer was lost (V10)', async () => {
      await using subject = await open()
      const real = await anInstance(subject)
      let breaks = 1
      const store = faultyGrantStore(real, () => (breaks-- > 0 ? 'after' : undefined))
      const proof = aProof()
      await expect(store.remember(proof, START, START + 1_000)).rejects.toMatchObject({ code: 'outcome_unknown' })
      expect(await store.remember(proof, START, START + 1_000)).toBe(false)
    })

    it('of any length and content is itself and no other (V10)', async () => {
      await using subject = await open()
      const store = await anInstance(subject)
      const long = aProof().padEnd(100_000, 'x')
      const proofs = [long, `${long}y`, `${aProof()}\u0000`, `{${aProof()}}`, `${aProof()}:*\r\n`]
      for (const proof of proofs) expect(await store.remember(proof, START, START + 1_000)).toBe(true)
      for (const proof of proofs) expect(await store.remember(proof, START, START + 1_000)).toBe(false)
    })
  })

  describe('a count', () => {
    it('goes up by one for each event, of all instances together', async () => {
      await using subject = await open()
      const stores = [await anInstance(subject), await anInstance(subject)]
      const subjectId = aRoot()
      const counts = await Promise.all(
        Array.from({ length: 64 }, (_, n) => stores[n % 2]?.count(subjectId, 1_000, START)),
      )
      expect(counts.toSorted((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 64 }, (_, n) => n + 1))
    })

    it('starts again in the next window, by the time given, and goes on in the old one', async () => {
      await using subject = await open()
      const store = await anInstance(subject)
      const subjectId = aRoot()
      expect(await store.count(subjectId, 1_000, START)).toBe(1)
      expect(await store.count(subjectId, 1_000, START + 999)).toBe(2)
      expect(await store.count(subjectId, 1_000, START + 1_000)).toBe(1)
      expect(await store.count(subjectId, 1_000, START + 999)).toBe(3)
    })

    it('is of one subject and one length of window (V18)', async () => {
      await using subject = await open()
      const store = await anInstance(subject)
      const subjectId = aRoot()
      await store.count(subjectId, 1_000, START)
      expect(await store.count(`${subjectId}x`, 1_000, START)).toBe(1)
      expect(await store.count(subjectId, 60_000, START)).toBe(1)
      expect(await store.count(subjectId, 2_000, 2 * START)).toBe(1) // the same window number, counted since 1970
    })
  })
}
