import { newId } from '@bailiwick/kit'
import { missingParts, startRedis } from '@bailiwick/native'
import { describe, expect, it } from 'vitest'
import { adjust, credentialFor, limitOf } from '../e2e/agent-side.ts'
import { callsOnly, type TwoPoints, twoPoints } from '../e2e/two-points.ts'
import { eventually } from '../e2e/world.ts'

/** Skipped where there is no redis-server; on CI that is a failure. */
const skipped = missingParts('redis').length > 0 && process.env.CI !== 'true'
const rounds = process.env.BAILIWICK_NIGHTLY === '1' ? 500 : 20
const budget = Math.ceil(rounds / 4)

/** A call at one of the two; gives its outcome to report, or nothing if it was refused. */
async function reserve(two: TwoPoints, n: number) {
  const taken = await take(two, n)
  return taken && ((status: 'succeeded' | 'not_executed') => taken.report(status))
}

/** A credential lives for minutes, and a machine that is busy takes longer: what is refused then says nothing of the budget. */
async function renew({ system }: TwoPoints, round: number): Promise<void> {
  if (round % 10 === 0) system.credential = await credentialFor(system.world, system.grant.grantId)
}

/** The same said again, as every enforcement point does, while the answer is that it may not be durable yet. */
const settled = (report: () => Promise<number>) =>
  eventually(async () => {
    const status = await report()
    return status < 500 ? status : undefined
  })

/** Besides, the bytes that it may send. */
async function take({ system: { world, credential }, points }: TwoPoints, n: number, answer_bytes?: number) {
  const point = points[n % 2] ?? points[0]
  const call_id = newId('call', world.clock.now(), world.random)
  const answer = await point.call({ credential, ...adjust('1'), observed: { call_id, answer_bytes } })
  if (!answer.decision) return undefined
  const report = (status: 'succeeded' | 'not_executed', sent: { egress_bytes?: number } = {}) => {
    const outcome = point.outcome(answer, call_id, status, sent)
    return settled(() => point.report(outcome))
  }
  return { bytes: limitOf(answer) ?? 0, report }
}

describe.skipIf(skipped)('a Redis that is flushed between a reservation and its settlement', () => {
  it(`never lets more be taken than was approved, in ${rounds} rounds, and loses nothing that is left (V9)`, {
    timeout: rounds * 5000 + 180_000,
  }, async () => {
    await using redis = await startRedis()
    await using two = await twoPoints(redis.url, budget)
    const { folded } = two
    let [allowed, released] = [0, 0]
    const held: NonNullable<Awaited<ReturnType<typeof reserve>>>[] = []
    for (let round = 0; round < rounds; round++) {
      await renew(two, round)
      const settling = await Promise.all([0, 1, 2].map((n) => reserve(two, round + n)))
      for (const settle of settling) if (settle) held.push(settle)
      allowed += settling.filter((settle) => settle !== undefined).length
      await redis.cli('FLUSHALL')
      // What was reserved before the flush is settled after it: most of it did not happen, and comes back once.
      for (const [n, settle] of held.splice(0).entries()) {
        const status = round % 5 === 4 && n === 0 ? 'succeeded' : 'not_executed'
        expect(await settle(status)).toBeLessThan(300)
        if (status === 'not_executed') released++
      }
      expect(allowed - released).toBeLessThanOrEqual(budget)
    }
    // The rest of the budget can be spent, to the last call and no further.
    for (let tries = 0; allowed - released < budget && tries < 200; tries++) {
      await renew(two, tries)
      if (await reserve(two, tries)) allowed++
    }
    expect(allowed - released).toBe(budget)
    for (let n = 0; n < 4; n++) expect(await reserve(two, n)).toBeUndefined()
    await eventually(() => folded().every(({ calls }) => calls === BigInt(budget)) || undefined)
  })

  it(`never lets more bytes out than were approved, in ${rounds} rounds, and loses none that are left (V9)`, {
    timeout: rounds * 5000 + 180_000,
  }, async () => {
    await using redis = await startRedis()
    const limit = rounds * 40
    const authority = { ...callsOnly(1), budget: { cost: { EUR: '9000.00' }, egress_bytes: limit } }
    await using two = await twoPoints(redis.url, 1, { authority })
    let sent = 0
    for (let round = 0; round < rounds; round++) {
      await renew(two, round)
      const taken = await Promise.all([0, 1, 2].map((n) => take(two, round + n, 50)))
      const open = taken.filter((each) => each !== undefined)
      expect(open.reduce((sum, { bytes }) => sum + bytes, sent)).toBeLessThanOrEqual(limit)
      await redis.cli('FLUSHALL')
      for (const [n, { bytes, report }] of open.entries()) {
        const egress_bytes = n === 0 ? bytes : round % (bytes + 1)
        expect(await report('succeeded', { egress_bytes })).toBeLessThan(300)
        sent += egress_bytes
      }
    }
    // The rest of the budget can be spent, to the last byte and no further.
    for (let tries = 0; sent < limit && tries < 200; tries++) {
      await renew(two, tries)
      const one = await take(two, tries, 50)
      if (one === undefined) continue
      expect(await one.report('succeeded', { egress_bytes: one.bytes })).toBeLessThan(300)
      sent += one.bytes
    }
    expect(sent).toBe(limit)
    for (let n = 0; n < 4; n++) expect(await take(two, n, 50)).toBeUndefined()
  })
})
