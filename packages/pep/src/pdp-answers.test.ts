import { expect, it } from 'vitest'
import { aCall, aPoint, FakePdp } from './pdp.fixture.ts'
import { problemOfRefusal } from './refusal.ts'

it('asks again, as the same call, when the answer was lost, and runs the effect once (V1, V10)', async () => {
  await using pdp = await FakePdp.start()
  const answers = new Map<string, ReturnType<FakePdp['allow']>>()
  // Like the real PDP: the same call gets the same permit.
  pdp.answer = (evaluation) =>
    answers.getOrInsertComputed(evaluation.context.bailiwick.call_id, () => pdp.allow(evaluation))
  let cut = true
  const flaky: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    if (!String(input).includes('/evaluation') || !cut) return response
    cut = false
    await response.body?.cancel()
    throw new TypeError('terminated')
  }
  await using point = await aPoint(pdp, { fetch: flaky })
  let effects = 0
  expect(await point.guard(aCall(), async () => effects++)).toMatchObject({ allowed: true })
  expect([effects, pdp.evaluations.length, answers.size]).toEqual([1, 2, 1])
})

it.each([
  ['decision_quota_exceeded', 'decision_quota_exceeded', '37', 37],
  ['queue_full', 'queue_full', '2', 2],
  ['something else', 'queue_full', undefined, undefined],
  ['decision_quota_exceeded', 'decision_quota_exceeded', 'soon', undefined],
])('says of a 429 with %s that it is %s, and when to try again: %s', async (code, reason, after, seconds) => {
  await using pdp = await FakePdp.start()
  await using point = await aPoint(pdp)
  pdp.answer = () => ({ status: 429, body: { code }, headers: after === undefined ? {} : { 'retry-after': after } })
  const refusal = await point.guard(aCall(), async () => undefined)
  expect(refusal).toEqual({ allowed: false, reason, ...(seconds && { retryAfterSeconds: seconds }) })
  if (refusal.allowed) return
  expect(problemOfRefusal(refusal)).toMatchObject({ status: 429, code: reason, retry_after: seconds ?? 1 })
})
