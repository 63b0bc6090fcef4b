import { expect, it } from 'vitest'
import {
  type DenialReason,
  denialReasons,
  isDenialReason,
  isRequestable,
  isReserved,
  mayHaveActed,
  retrySecondsOf,
} from './index.ts'

const reasons = Object.keys(denialReasons) as DenialReason[]
const those = (are: (reason: DenialReason) => boolean) => reasons.filter(are)

it('lists the reasons in the order in which decisions are made', () => {
  const steps = reasons.map((reason) => denialReasons[reason].step)
  expect(steps).toEqual(steps.toSorted((a, b) => a - b))
})

it('names a denial that passes by itself, or one that a request can answer, but none that is both', () => {
  const retried = those((reason) => retrySecondsOf(reason) !== undefined)
  expect(those(isRequestable)).toContain('action_not_granted')
  expect(retried).toContain('state_stale')
  expect(those(isRequestable).filter((reason) => retried.includes(reason))).toEqual([])
})

it('lets an SDK repeat the very same call only where calls without an outcome hold what is left', () => {
  expect(those(isReserved)).toEqual(['uses_reserved', 'budget_reserved'])
  for (const reason of those(isReserved)) expect(retrySecondsOf(reason)).toBe(1)
})

it('says which denials do not mean that nothing was done (V10)', () => {
  expect(those(mayHaveActed)).toEqual(['call_elsewhere', 'call_conflict'])
})

it('knows its own codes alone', () => {
  expect(['policy_denied', 'toString', 'permit_used', ''].map(isDenialReason)).toEqual([true, false, false, false])
})
