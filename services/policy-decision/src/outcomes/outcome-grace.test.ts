import { expect, it } from 'vitest'
import { OutcomeGrace } from './outcome-grace.ts'

it('says that nothing is missing until outcomes that waited could come: from the start, and after each outage (V9)', () => {
  let [now, fresh] = [100_000, true]
  const grace = new OutcomeGrace({ fresh: () => fresh, monotonic: () => now, dueMs: 60_000 })
  const at = (ms: number, isFresh = true) => {
    now = 100_000 + ms
    fresh = isFresh
    return grace.isOver()
  }
  expect([at(0), at(9_999), at(10_000)]).toEqual([false, false, true])
  // The bus is away for five minutes.
  expect([at(11_000, false), at(311_000, false)]).toEqual([false, false])
  expect([at(312_000), at(320_999), at(321_000)]).toEqual([false, false, true])
})
