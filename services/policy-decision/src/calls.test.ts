import { expect, it } from 'vitest'
import { Calls } from './calls.ts'
import type { Allowed } from './decide.ts'

it('forgets an ALLOW when its permit is over, and no denial (V7)', async () => {
  const calls = new Calls()
  const request = (call_id: string) => ({ digest: 'd', observed: { call_id, credential: 'c' } }) as never
  const allowed = { decision: true, decisionId: 'dec_1', callId: 'one', permit: 'p', permitEndsAt: 5000 } as Allowed
  const denied = { decision: false, decisionId: 'dec_2', callId: 'two', reason: 'grant_expired' } as const
  calls.remember('point', request('one'), Promise.resolve(allowed))
  calls.remember('point', request('two'), Promise.resolve(denied))
  await Promise.resolve()
  expect(await calls.find('point', request('one'), 4999)).toBe(allowed)
  expect(calls.find('point', request('one'), 5000)).toBeUndefined()
  expect(calls.find('point', request('one'), 4999)).toBeUndefined()
  expect(await calls.find('point', request('two'), 1_000_000)).toBe(denied)
})
