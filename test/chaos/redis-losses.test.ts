import { missingParts } from '@bailiwick/native'
import { describe, expect, it } from 'vitest'
import { adjust } from '../e2e/agent-side.ts'
import { takenOnTheLog } from '../e2e/taken.ts'
import { allowedOf, type TwoPoints, twoPoints } from '../e2e/two-points.ts'
import { eventually } from '../e2e/world.ts'
import { losses } from './redis-losses.ts'

/** Skipped where there is no redis-server; on CI that is a failure. */
const skipped = missingParts('redis').length > 0 && process.env.CI !== 'true'
const rounds = process.env.BAILIWICK_NIGHTLY === '1' ? 20 : 2
const budget = 60

/** Who keeps every proof ever made shows each of them to both, at once. */
async function replayAll({ points }: TwoPoints): Promise<void> {
  const bodies = points.flatMap((point) => point.bodies)
  const answers = await Promise.all(
    bodies.flatMap((body) => points.map(async (point) => (await point.send(body)).json() as { decision: boolean })),
  )
  expect(answers.filter(({ decision }) => decision)).toEqual([])
}

/** Calls at both, a few at a time, until told to stop; gives how many were allowed. */
async function load(two: TwoPoints, until: () => boolean): Promise<number> {
  let allowed = 0
  while (!until()) allowed += allowedOf(await two.race(4)).length
  return allowed
}

/** So many that are allowed. One that lost its races, or whose answer was late, is asked for again. */
async function take(two: TwoPoints, count: number): Promise<number> {
  for (let left = count; left > 0; ) left -= allowedOf(await two.race(Math.min(left, 8))).length
  return count
}

describe.skipIf(skipped)('a Redis that', () => {
  it.each(Object.keys(losses))(
    '%s in the middle of the load: every proof counts once, nothing is overspent, and it is filled anew (V7, V9, V10)',
    async (how) => {
      for (let round = 0; round < rounds; round++) {
        await using redis = await (losses[how] as (typeof losses)[string])()
        await using two = await twoPoints(redis.url, budget)
        const { world, grant, credential } = two.system
        let allowed = await take(two, 6)
        await redis.prepare()
        allowed += await take(two, 6)

        let lost = false
        const during = load(two, () => lost)
        await redis.lose()
        await replayAll(two)
        lost = true
        allowed += await during
        await replayAll(two)

        await redis.repair()
        await eventually(() => two.stores.every((store) => store.unhealthy() === undefined) || undefined)
        allowed += await take(two, budget - allowed)
        expect(allowedOf(await two.race(8))).toEqual([])
        expect(allowed).toBe(budget)
        expect(await takenOnTheLog(two.system)).toBe(budget)
        await replayAll(two)

        // Both have adopted the same store, which knows what the log knows.
        const [folded] = two.folded()
        const known = { version: folded?.version, left: { calls: 0n } }
        for (const store of two.stores) {
          // On a busy machine an answer may be late.
          const tree = await eventually(() => store.get(grant.grantId).catch(() => undefined))
          expect(tree).toMatchObject(known)
        }

        expect(await world.revoke('grant', grant.grantId)).toBeLessThan(300)
        await redis.lose().catch(() => undefined) // once more: nothing revives what was withdrawn
        await redis.repair()
        for (const point of two.points)
          await eventually(async () => (await point.call({ credential, ...adjust('1') })).reason === 'grant_revoked')
        expect(allowedOf([...(await two.race(4)), ...(await two.race(4))])).toEqual([])
      }
    },
    rounds * 120_000,
  )
})
