import { missingParts, type RedisServer, startRedis } from '@bailiwick/native'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aRoot, aTake, aTree, HUGE, START } from '../contract/fixtures.ts'
import { openStore } from './redis.fixture.ts'

/** Skipped without a redis-server; in CI that is a failure. */
const skipped = missingParts('redis').length > 0 && process.env.CI !== 'true'

describe.skipIf(skipped)('amounts in Redis, whose scripts count in doubles', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server[Symbol.asyncDispose]())

  const amount = fc.oneof(
    fc.bigInt({ min: 0n, max: HUGE }),
    // Neighbouring integers that become the same double, and places where the number of digits changes.
    fc.constantFrom(
      2n ** 53n,
      2n ** 53n + 1n,
      2n ** 53n + 2n,
      10n ** 18n,
      10n ** 18n - 1n,
      9n,
      10n,
      0n,
      HUGE,
      HUGE - 1n,
    ),
  )

  it('are compared, taken and given back to the last unit, at any size (V9)', async () => {
    await using store = await openStore(server)
    await store.adopt()
    await fc.assert(
      fc.asyncProperty(amount, amount, amount, async (left, wanted, giveBack) => {
        const root = aRoot()
        await store.refill(root, aTree({ left: { 'cost:EUR': left } }))
        const take = aTake({ amounts: { 'cost:EUR': wanted } })
        const answer = await store.advance(root, take)
        expect(answer.outcome).toBe(wanted <= left ? 'advanced' : 'exhausted')
        if (answer.outcome === 'exhausted') {
          expect((await store.get(root))?.left).toEqual({ 'cost:EUR': left })
          return
        }
        expect((await store.get(root))?.left).toEqual({ 'cost:EUR': left - wanted })
        await store.settle(root, { takeId: take.takeId, to: 3, giveBack: { 'cost:EUR': giveBack } })
        const kept = giveBack >= wanted ? 0n : wanted - giveBack
        expect((await store.get(root))?.left).toEqual({ 'cost:EUR': left - kept })
      }),
      { numRuns: 500 },
    )
  })

  it('stay with versions and times of up to 2^53 - 1', async () => {
    await using store = await openStore(server)
    await store.adopt()
    const root = aRoot()
    const last = Number.MAX_SAFE_INTEGER
    await store.refill(root, aTree({ version: last - 1 }))
    expect(await store.advance(root, aTake({ from: last - 2, to: last }))).toEqual({
      outcome: 'ahead',
      version: last - 1,
    })
    expect(await store.advance(root, aTake({ from: last - 1, to: last }))).toEqual({ outcome: 'advanced' })
    expect((await store.get(root))?.version).toBe(last)
    await expect(store.refill(root, aTree({ version: last + 1 }))).rejects.toMatchObject({ code: 'internal' })
    await expect(store.refill(root, aTree({ version: 9, expiresAt: Number.NaN }))).rejects.toMatchObject({
      code: 'internal',
    })
  })

  it('are kept, as all else is, until at least a minute after their time, and then forgotten', async () => {
    await using store = await openStore(server, { namespace: 'ttl' })
    await store.adopt()
    const root = aRoot()
    await store.refill(root, aTree({ expiresAt: START + 5 }))
    await store.advance(root, aTake())
    await store.remember('proof', START, START + 5)
    await store.count('agent', 1000, START)
    const keys = (await server.cli('KEYS', 'ttl:*')).split('\n')
    const until = new Map(
      await Promise.all(keys.map(async (key) => [key, Number(await server.cli('PEXPIRETIME', key))] as const)),
    )
    expect(until.get('ttl:epoch')).toBe(-1)
    until.delete('ttl:epoch')
    expect([...until.values()].toSorted()).toEqual([
      ...[START + 60_005, START + 60_005, START + 60_005],
      START + 61_000,
    ])
  })
})
