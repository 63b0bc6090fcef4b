import { missingParts } from '@bailiwick/native'
import { describe, expect, it } from 'vitest'
import { losses } from '../chaos/redis-losses.ts'
import { credentialFor, type Point, read } from '../e2e/agent-side.ts'
import { type TwoPoints, twoPoints } from '../e2e/two-points.ts'
import { eventually } from '../e2e/world.ts'
import { revoked, roundsOf, targetOf, verdictsOf } from './revocation-world.ts'

/** Skipped where there is no redis-server; on CI that is a failure. */
const skipped = missingParts('redis').length > 0 && process.env.CI !== 'true'
const rounds = roundsOf(1, 50)

/**
 * The ways to forget that bring back an earlier state, and how often one server can be lost in each way. In a landing
 * only the first runs: test/chaos/redis-losses.test.ts has each of them too.
 */
const each: [how: string, times: number][] = [
  ['is flushed', 10],
  ['fails over to a replica that missed writes', 1],
  ['is set to evict, and does', 10],
]

/** Asks both points all the time until stopped. Returns how many calls were allowed. */
async function asking({ points }: TwoPoints, credential: string, until: () => boolean): Promise<number> {
  let allowed = 0
  while (!until()) {
    const answers = await Promise.all(points.map((point) => point.call({ credential, ...read })))
    allowed += answers.filter(({ decision }) => decision).length
  }
  return allowed
}

describe.skipIf(skipped)('what was revoked, when Redis', () => {
  it.each(each.slice(0, roundsOf(1, each.length)))(
    '%s after it: neither decision point allows it again (V7)',
    async (how, times) => {
      for (let round = 0; round < rounds; round += times) {
        await using redis = await (losses[how] as (typeof losses)[string])()
        await using two = await twoPoints(redis.url, 200)
        for (let n = round; n < Math.min(rounds, round + times); n++) {
          const { system, points } = two
          const grant = await system.people.grant()
          const credential = await credentialFor(system.world, grant.grantId)
          const allows = async (point: Point) => (await point.call({ credential, ...read })).decision || undefined
          for (const point of points) await eventually(() => allows(point), 60_000)
          await redis.prepare()
          const [kind, target] = targetOf(n, grant, credential)
          await revoked(system, kind, target)
          let over = false
          const during = asking(two, credential, () => over)
          await redis.lose()
          const verdicts = await verdictsOf(points, credential)
          over = true
          await redis.repair()
          const allowed =
            (await during) +
            [...verdicts, ...(await verdictsOf(points, credential))].filter(({ decision }) => decision).length
          expect({ kind, allowed }).toEqual({ kind, allowed: 0 })
        }
      }
    },
    rounds * 60_000,
  )
})
