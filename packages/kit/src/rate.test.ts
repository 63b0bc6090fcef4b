import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { testClock } from './clock.ts'
import { RateLimiter } from './rate.ts'

const limiter = (limits: { perSecond?: number; burst?: number; maxKeys?: number } = {}) => {
  const clock = testClock()
  return { clock, rate: new RateLimiter({ perSecond: 10, burst: 5, maxKeys: 100, clock, ...limits }) }
}
const taken = (rate: RateLimiter, key: string, times: number) =>
  Array.from({ length: times }, () => rate.take(key)).filter((rated) => rated.ok).length

it('lets a burst through, then says when to come back', () => {
  const { clock, rate } = limiter({ perSecond: 0.5 })
  expect(taken(rate, 'a', 20)).toBe(5)
  expect(rate.take('a')).toEqual({ ok: false, retryAfterSeconds: 2 })
  clock.advance(1000)
  expect(rate.take('a')).toEqual({ ok: false, retryAfterSeconds: 1 })
  clock.advance(1000)
  expect(rate.take('a')).toEqual({ ok: true })
})

it('keeps one agent from using up what is for another (V18)', () => {
  const { rate } = limiter()
  taken(rate, 'loud', 1000)
  expect(taken(rate, 'quiet', 5)).toBe(5)
})

it('never lets more through than burst and rate allow, and not less to one that waits', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 1, max: 6 })), { maxLength: 40 }),
      (steps) => {
        const { clock, rate } = limiter()
        let passed = 0
        for (const [wait, cost] of steps) {
          clock.advance(wait)
          const rated = rate.take('a', cost)
          if (rated.ok) passed += cost
          else if (cost <= 5) {
            clock.advance(rated.retryAfterSeconds * 1000)
            expect(rate.take('a', cost)).toEqual({ ok: true })
            passed += cost
          }
          expect(passed).toBeLessThanOrEqual(5 + (clock.monotonic() / 1000) * 10 + 1e-9)
        }
      },
    ),
  )
})

it('does not give tokens because the clock was set', () => {
  const { clock, rate } = limiter()
  taken(rate, 'a', 5)
  clock.jump(3_600_000)
  expect(rate.take('a').ok).toBe(false)
  clock.jump(-7_200_000)
  clock.advance(1000)
  expect(taken(rate, 'a', 20)).toBe(5)
})

it('remembers no more keys than it may, those that asked last', () => {
  const { rate } = limiter({ maxKeys: 3 })
  for (const key of ['a', 'b', 'c']) taken(rate, key, 5)
  rate.take('a')
  rate.take('d')
  expect(rate.size).toBe(3)
  expect(taken(rate, 'a', 5)).toBe(0)
  expect(taken(rate, 'b', 5)).toBe(5)
  for (let n = 0; n < 10_000; n++) rate.take(`key-${n}`)
  expect(rate.size).toBe(3)
})

it.each([{ perSecond: 0 }, { burst: 0.5 }, { maxKeys: 0 }, { perSecond: Number.NaN }])('refuses %j', (limits) => {
  expect(() => limiter(limits)).toThrow(RangeError)
})
