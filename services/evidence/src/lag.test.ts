import type { Bus } from '@bailiwick/bus'
import { expect, it } from 'vitest'
import { Lag } from './lag.ts'

const aBus = (ends: () => Promise<number[]>) => ({ ends }) as unknown as Bus

it('counts what is on the bus and not in the log', async () => {
  using lag = new Lag(
    aBus(async () => [5, 0, 3]),
    ['a', 'b'],
    () => ({ a: { 0: 4, 2: 0 } }),
  )
  // a: nothing in partition 0, two in partition 2. b: all of it.
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
