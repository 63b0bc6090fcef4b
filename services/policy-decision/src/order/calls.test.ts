import { expect, it } from 'vitest'
import type { Allowed, Answer } from '../answer.ts'
import { Calls } from './calls.ts'

const request = (call_id: string, over: object = {}, observed: object = {}) =>
  ({ subject: { id: 'agent' }, digest: 'd', observed: { call_id, credential: 'c', ...observed }, ...over }) as never
const point = { id: 'point' }
const no = (reason: string) => ({ decision: false, decisionId: 'dec_2', callId: 'two', reason }) as Answer

type Asked = Parameters<Calls['decide']>
const remember = (calls: Calls, by: Asked[0], asked: Asked[1], answer: Promise<Answer>) =>
  void calls.decide(by, asked, () => answer)

it('forgets an ALLOW when its permit is over, and no denial (V7)', async () => {
  const calls = new Calls()
  const allowed = { decision: true, decisionId: 'dec_1', callId: 'one', permit: 'p', permitEndsAt: 5000 } as Allowed
  const denied = { decision: false, decisionId: 'dec_2', callId: 'two', reason: 'grant_expired' } as const
  remember(calls, point, request('one'), Promise.resolve(allowed))
  remember(calls, point, request('two'), Promise.resolve(denied))
  await Promise.resolve()
  expect(await calls.find(point, request('one'), 4999)).toBe(allowed)
  expect(calls.find(point, request('one'), 5000)).toBeUndefined()
  expect(calls.find(point, request('one'), 4999)).toBeUndefined()
  expect(await calls.find(point, request('two'), 1_000_000)).toBe(denied)
})

it('gives an answer to the same call of the same point alone, and to no other credential or action (V10)', async () => {
  const calls = new Calls()
  const answer = Promise.withResolvers<Answer>()
  remember(calls, point, request('one'), answer.promise)
  const again = calls.find(point, request('one'), 0) // finds the call before it is answered, too
  const denied = no('grant_expired')
  answer.resolve(denied)
  expect(await again).toBe(denied)
  expect(calls.find(point, request('one', { digest: 'another' }), 0)).toBe('conflict')
  expect(calls.find(point, request('one', {}, { credential: 'another' }), 0)).toBe('conflict')
  expect(calls.find(point, request('one', {}, { credential: undefined }), 0)).toBe('conflict')
  expect(calls.find({ id: 'another point' }, request('one'), 0)).toBeUndefined()
  expect(calls.find(point, request('two'), 0)).toBeUndefined()
})

it.each(['proof_nonce_required', 'step_up_required', 'budget_held', 'state_stale', 'deadline_exceeded'])(
  'keeps no %s, which says to repeat the call, and says so to all who asked before it was answered (V10)',
  async (reason) => {
    const calls = new Calls()
    const denied = no(reason)
    const answer = Promise.withResolvers<Answer>()
    remember(calls, point, request('one'), answer.promise)
    const again = calls.find(point, request('one'), 0)
    answer.resolve(denied)
    expect(await again).toBe(denied)
    expect(calls.find(point, request('one'), 0)).toBeUndefined()
  },
)

it('keeps no failure: the same call may come again', async () => {
  const calls = new Calls()
  const failed = Promise.reject(new Error('turned away'))
  remember(calls, point, request('failed'), failed)
  await expect(failed).rejects.toThrow()
  await Promise.resolve()
  expect(calls.find(point, request('failed'), 0)).toBeUndefined()
})

it('remembers the last 10,000 of a point', async () => {
  const calls = new Calls()
  const denied = Promise.resolve(no('grant_expired'))
  for (let n = 0; n < 10_000; n++) remember(calls, point, request(`${n}`), denied)
  expect(calls.find(point, request('0'), 0)).toBe(denied)
  remember(calls, point, request('10000'), denied)
  expect(calls.find(point, request('0'), 0)).toBeUndefined()
  expect([calls.find(point, request('1'), 0), calls.find(point, request('10000'), 0)]).toEqual([denied, denied])
})

it('belongs to the instance that asked first, until it is denied (V1, V10)', async () => {
  const calls = new Calls()
  const [first, second] = ['one', 'two'].map((instance) => ({ id: 'point', instance }))
  if (!first || !second) return
  const answer = Promise.withResolvers<Answer>()
  remember(calls, first, request('one'), answer.promise)
  for (const other of [second, point]) expect(calls.find(other, request('one'), 0)).toBe('elsewhere')
  const allowed = { decision: true, decisionId: 'dec_1', callId: 'one', permit: 'p', permitEndsAt: 5000 } as Allowed
  answer.resolve(allowed)
  expect(await calls.find(first, request('one'), 0)).toBe(allowed)
  for (const other of [second, point]) expect(calls.find(other, request('one'), 0)).toBe('elsewhere')
  expect(calls.find(second, request('one', { digest: 'another' }), 0)).toBe('conflict')
  const denied = no('grant_expired')
  remember(calls, first, request('two'), Promise.resolve(denied))
  await Promise.resolve()
  expect(await calls.find(second, request('two'), 0)).toBe(denied)
})

it('keeps an ALLOW of one agent, however many calls others make, in its name too (V10, V18)', async () => {
  const calls = new Calls()
  const allow = (callId: string) =>
    Promise.resolve({ decision: true, decisionId: 'dec_1', callId, permit: 'p', permitEndsAt: 5000 } as Allowed)
  const allowed = allow('one')
  remember(calls, point, request('one'), allowed)
  await allowed
  for (let n = 0; n < 20_000; n++) {
    // A denied call may name any agent.
    remember(calls, point, request(`denied ${n}`), Promise.resolve(no('credential_invalid')))
    remember(calls, point, request(`loud ${n}`, { subject: { id: 'loud' } }), allow(`loud ${n}`))
    remember(calls, { id: `point ${n % 10}` }, request(`elsewhere ${n}`), Promise.resolve(no('grant_expired')))
  }
  await Promise.resolve()
  expect(calls.find(point, request('one'), 0)).toBe(allowed)
  expect(calls.find(point, request('loud 0', { subject: { id: 'loud' } }), 0)).toBeUndefined()
})

it('is given up once all have gone that wait for its answer, the first and those that asked again (V9, V10)', async () => {
  const calls = new Calls()
  const answer = Promise.withResolvers<Answer>()
  const gone = { first: true, again: false }
  let areGone = () => false
  const decide = (all: () => boolean) => {
    areGone = all
    return answer.promise
  }
  calls.decide(point, request('one'), decide, () => gone.first)
  expect(areGone()).toBe(true)
  calls.find(point, request('one'), 0, () => gone.again)
  expect(areGone()).toBe(false)
  gone.again = true
  expect(areGone()).toBe(true)
  // A caller that cannot tell whether it has gone counts as waiting.
  calls.find(point, request('one'), 0)
  expect(areGone()).toBe(false)
})
