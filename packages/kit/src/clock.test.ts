import { expect, it } from 'vitest'
import { systemClock, testClock } from './clock.ts'

it('reads ms since the epoch, and a monotonic reading that does not go back', () => {
  const before = Date.now()
  const now = systemClock.now()
  expect(now).toBeGreaterThanOrEqual(before)
  expect(now).toBeLessThanOrEqual(Date.now())
  const first = systemClock.monotonic()
  expect(systemClock.monotonic()).toBeGreaterThanOrEqual(first)
})

it('stands still until a test moves it, and keeps the monotonic reading when the wall clock is set', () => {
  const clock = testClock(1000)
  expect([clock.now(), clock.monotonic()]).toEqual([1000, 0])
  clock.advance(250)
  expect([clock.now(), clock.monotonic()]).toEqual([1250, 250])
  clock.jump(-5000)
  expect([clock.now(), clock.monotonic()]).toEqual([-3750, 250])
})

it('refuses to let time go back', () => {
  expect(() => testClock().advance(-1)).toThrow(RangeError)
  expect(() => testClock().advance(Number.NaN)).toThrow(RangeError)
})
