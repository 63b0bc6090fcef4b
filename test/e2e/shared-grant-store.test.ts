import { missingParts, type RedisServer, startRedis } from '@bailiwick/native'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { agentAt } from './agent-at-two-points.ts'
import { adjust } from './agent-side.ts'
import { takenOnTheLog } from './taken.ts'
import { allowedOf, type RecordingPoint, twoPoints } from './two-points.ts'
import { eventually } from './world.ts'

/** Skipped where there is no redis-server; on CI that is a failure. */
const skipped = missingParts('redis').length > 0 && process.env.CI !== 'true'

describe.skipIf(skipped)('two decision points on one Redis', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis[Symbol.asyncDispose]())

  it('give the last unit to exactly one of 64 calls that reach both at once (V9, V10)', async () => {
    await using two = await twoPoints(redis.url, 1)
    const answers = await two.race(64)
    expect(allowedOf(answers)).toHaveLength(1)
    const reasons = new Set(answers.filter(({ decision }) => !decision).map(({ reason }) => reason))
    expect([...reasons]).toEqual(['budget_reserved'])
    expect(await takenOnTheLog(two.system)).toBe(1)
  })

  it('share a budget to its last unit, and deny no call only because the other point was faster (V9)', async () => {
    await using two = await twoPoints(redis.url, 40)
    const answers = await two.race(64)
    expect(allowedOf(answers)).toHaveLength(40)
    expect(await takenOnTheLog(two.system)).toBe(40)
  })

  it('accept a proof once, whichever of them gets it (V10)', async () => {
    await using two = await twoPoints(redis.url, 40)
    const [one, other] = two.points
    const { credential } = two.system
    const answered = async () => (await one.once({ credential, ...adjust('1'), proof: { nonce: undefined } })).decision
    await eventually(async () => (await answered()) || undefined) // after the second in which it requests its own nonces
    const { body } = one.body({ credential, ...adjust('1'), proof: { nonce: undefined } })
    const answers = await Promise.all(Array.from({ length: 32 }, (_, n) => (n % 2 ? one : other).send(body)))
    const reasons = answers.map((answer) => answer.json()).map(({ decision, context }) => decision || context.reason)
    expect(reasons.filter((reason) => reason === true)).toHaveLength(1)
    // If Redis is too slow for one of them, as on a busy machine, that one requests a nonce of its own, which is not an
    // acceptance.
    const refused = ['proof_replayed', 'proof_nonce_required']
    expect(reasons.filter((reason) => reason !== true && !refused.includes(reason ?? ''))).toEqual([])
  })

  it('let an honest agent through with one extra proof after Redis lost everything, and after it returns', async () => {
    await using two = await twoPoints(redis.url, 400)
    const agent = agentAt(two)
    const { credential, world } = two.system
    const unasked = () => ({ nonce: undefined, now: world.clock.now() })
    /**
     * A decision point that has just adopted its store requests a nonce from every caller; after that it notices a loss
     * only through a call.
     */
    const settled = (point: RecordingPoint) =>
      eventually(async () => (await point.once({ credential, ...adjust('1'), proof: unasked() })).decision || undefined)
    const losses = {
      flushed: async () => void (await redis.cli('FLUSHALL')),
      away: async () => {
        await redis.kill('SIGKILL')
        // Each decision point is on its own by now, and requests its own nonces.
        for (let n = 0; n < 4; n++) await agent.call()
        await redis.start()
        await eventually(() => two.stores.every((store) => store.unhealthy() === undefined))
      },
    }
    for (const [name, lose] of Object.entries(losses)) {
      for (const point of two.points) await settled(point)
      await lose()
      for (let n = 0; n < 4; n++) {
        // A busy machine may answer late.
        const { status, proofs } = await eventually(async () => {
          const said = await agent.call()
          return said.reason === 'deadline_exceeded' || said.reason === 'state_stale' ? undefined : said
        })
        expect({ name, n, status, enough: proofs <= 2 }).toEqual({ name, n, status: 200, enough: true })
      }
    }
  })

  it('decide by the log alone while Redis is gone, take no more than was approved, and share Redis again later (V9, V10)', async () => {
    await using two = await twoPoints(redis.url, 60)
    const [one, other] = two.points
    let before = 0
    while (before < 10) before += allowedOf(await two.race(10 - before)).length
    const during = two.race(20)
    await redis.kill('SIGKILL')
    const known = allowedOf(await during).length
    const without = allowedOf([...(await two.race(8, [one])), ...(await two.race(8, [other]))])
    expect(without.length).toBeGreaterThan(0) // a lost race on the log may use up one call's three tries
    // The other point never heard of what one of them counted alone, and refuses it all the same.
    for (const body of [...one.bodies, ...other.bodies]) {
      for (const point of two.points) expect((await point.send(body)).json()).toMatchObject({ decision: false })
    }
    await redis.start()
    await eventually(() => two.stores.every((store) => store.unhealthy() === undefined))
    for (const body of [...one.bodies, ...other.bodies]) {
      for (const point of two.points) expect((await point.send(body)).json()).toMatchObject({ decision: false })
    }
    let all = before + known + without.length
    while (all < 60) all += allowedOf(await two.race(32)).length
    expect(all + allowedOf(await two.race(32)).length).toBe(60)
    expect(await takenOnTheLog(two.system)).toBe(60)
    const [folded] = two.folded()
    for (const store of two.stores)
      await expect
        .poll(() => store.get(two.system.grant.grantId).catch(() => undefined))
        .toMatchObject({ version: folded?.version, left: { calls: 0n } })
  })
})
