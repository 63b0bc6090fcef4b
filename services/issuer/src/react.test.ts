import { ServiceError } from '@bailiwick/errors'
import { afterEach, expect, it, vi } from 'vitest'
import { react } from './react.ts'

afterEach(() => {
  vi.useRealTimers()
})

it('tries again what could not be done, at the same pace however long it lasts (V18)', async () => {
  vi.useFakeTimers()
  let tried = 0
  const times = { not_after: '2026-01-01T00:00:00.000Z', not_before: '2026-01-01T00:00:00.000Z' }
  const tree = {
    id: 'grt_1',
    state: 'active',
    version: 1,
    createdAt: 0,
    grant: { ...times, mode: 'window', statement: { manifests: {} } },
  }
  const issuer = {
    projection: {
      ledger: {
        grants: { trees: new Map([['grt_1', tree]]) },
        registry: { records: () => [], get: () => undefined, serviceKeys: [] },
        revocations: { sequence: 0, acknowledged: 0 },
        requests: { requests: new Map(), enrolments: new Map(), stopOrders: new Map() },
        forgetEndedBefore: () => undefined,
      },
      onFact: () => () => undefined,
    },
    producer: {
      source: '/issuer/one',
      publishOne: async () => {
        tried++
        throw new ServiceError('service_standby')
      },
    },
    clock: { now: () => Date.now(), monotonic: () => Date.now() },
    logger: { error: () => undefined, warn: () => undefined },
    keyRing: {},
  }
  const follow = async () => ({ failed: new Promise(() => undefined), [Symbol.asyncDispose]: async () => undefined })
  const owned = await react(issuer as never, { follow } as never)
  const inOneSecond = async () => {
    const before = tried
    await vi.advanceTimersByTimeAsync(1000)
    return tried - before
  }
  const paces: number[] = []
  for (let second = 0; second < 60; second++) paces.push(await inOneSecond())
  await owned[Symbol.asyncDispose]()
  expect(paces[5]).toBeGreaterThan(0)
  expect(paces[59]).toBeLessThanOrEqual(4)
})
