import type { Bus } from '@bailiwick/bus'
import { expect, it, onTestFinished, vi } from 'vitest'
import { Lag } from './lag.ts'

const aBus = (ends: () => Promise<number[]>) => ({ ends }) as unknown as Bus

it('counts what is on the bus and not in the log', async () => {
  using lag = new Lag(
    aBus(async () => [5, 0, 3]),
    ['a', 'b'],
    () => ({ a: { 0: 4, 2: 0 } }),
  )
  // Behind by: topic a, nothing in partition 0 and two in partition 2; topic b, everything.
  expect(await lag.measure()).toBe(2 + 8)
  expect(lag.check()).toBe(undefined)
})

it('is not well when the bus does not answer, or is far ahead (V13)', async () => {
  using silent = new Lag(
    aBus(() => Promise.reject(new Error('down'))),
    ['a'],
    () => ({}),
  )
  await expect(silent.measure()).rejects.toThrow('down')
  expect(silent.check()).toBe('how far the log is behind is not known')
  using far = new Lag(
    aBus(async () => [20_001]),
    ['a'],
    () => ({}),
  )
  await far.measure()
  expect(far.check()).toBe('the log is 20001 events behind')
})

it('is ready up to 20,000 events behind', async () => {
  using lag = new Lag(
    aBus(async () => [20_000]),
    ['a'],
    () => ({}),
  )
  await lag.measure()
  expect(lag.check()).toBeUndefined()
  expect(lag.messages).toBe(20_000)
})

it('looks at once and each second, until it ends, and forgets what it knew when the bus does not answer (V13)', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const bus = { ends: async () => [4], looks: 0 }
  const lag = new Lag(
    aBus(() => {
      bus.looks++
      return bus.ends()
    }),
    ['a'],
    () => ({ a: { 0: 1 } }),
  )
  await vi.advanceTimersByTimeAsync(0)
  expect([bus.looks, lag.messages]).toEqual([1, 2])
  bus.ends = () => Promise.reject(new Error('down'))
  await vi.advanceTimersByTimeAsync(1000)
  expect([bus.looks, lag.messages]).toEqual([2, undefined])
  lag[Symbol.dispose]()
  await vi.advanceTimersByTimeAsync(3000)
  expect(bus.looks).toBe(2)
})

it('tells where the bus ends to those that began to wait before it was looked up', async () => {
  const ends = Promise.withResolvers<number[]>()
  const consumed = { a: { 0: 1 } }
  using lag = new Lag(
    aBus(() => ends.promise),
    ['a'],
    () => consumed,
  )
  expect(lag.consumed).toBe(consumed)
  const said: unknown[] = []
  const stop = lag.onReading(() => {
    said.push('begins')
    return (each) => said.push(each)
  })
  const measuring = lag.measure()
  expect(said).toEqual(['begins'])
  ends.resolve([3])
  await measuring
  expect(said).toEqual(['begins', { a: [3] }])
  stop()
  await lag.measure()
  expect(said).toHaveLength(2)
})
