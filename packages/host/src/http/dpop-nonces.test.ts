import { seededRandom, testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { dpopNonces } from './dpop-nonces.ts'

const minuteMs = 60_000

it('accepts a nonce for its window and the next, even if the wall clock is changed (V10)', () => {
  const clock = testClock()
  const nonces = dpopNonces(clock, seededRandom(1))
  const first = nonces.current()
  expect(nonces.accepts(first)).toBe(true)
  clock.jump(-3600_000)
  clock.advance(5 * minuteMs)
  expect(nonces.current()).not.toBe(first)
  expect(nonces.accepts(first)).toBe(true)
  clock.advance(5 * minuteMs)
  expect(nonces.accepts(first)).toBe(false)
})

it('accepts no nonce of an earlier start: the replay memory of that start is gone (V10)', () => {
  const clock = testClock()
  expect(dpopNonces(clock, seededRandom(2)).accepts(dpopNonces(clock, seededRandom(1)).current())).toBe(false)
})
