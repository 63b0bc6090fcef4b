import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { Quotas } from './quotas.ts'

function world() {
  const clock = testClock()
  const quotas = new Quotas({ agentDecisionsPerMinute: 60, grantDecisionsPerMinute: 30 }, clock)
  const taken = (agent: string, grant: string, times: number) => {
    let taken = 0
    for (let n = 0; n < times; n++)
      try {
        quotas.take(agent, grant)
        taken++
      } catch (error) {
        expect(error).toMatchObject({ code: 'decision_quota_exceeded', retryAfterSeconds: expect.any(Number) })
      }
    return taken
  }
  return { clock, taken }
}

it('a grant, and an agent over all its grants, has so many decisions a minute and no more (V18)', () => {
  const { clock, taken } = world()
  expect(taken('one', 'grt_1', 100)).toBe(30)
  expect(taken('one', 'grt_2', 100)).toBe(30)
  expect(taken('one', 'grt_3', 100)).toBe(0)
  clock.advance(30_000)
  // The calls that its agent was refused took nothing from this grant.
  expect(taken('one', 'grt_3', 100)).toBe(30)
})

it('a task that used up its quota takes nothing from another (V18)', () => {
  const { taken } = world()
  taken('one', 'grt_1', 1000)
  expect(taken('two', 'grt_2', 30)).toBe(30)
})
