import { actionText, saltedHash, sha256, verifyContinuation, verifyingKey } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import type { Permitted } from './enforcement-point.ts'
import { aCall, anAction, aPoint, callerKey, FakePdp, pointId, trust } from './pdp.fixture.ts'
import type { Round } from './round.ts'

const answers = { inputResponses: { amount: { action: 'accept' } }, requestState: 's' }
const withAnswers = () => ({ ...anAction(), properties: { ...anAction().properties, ...answers } })
const salt = Buffer.alloc(16, 7).toString('base64url')

async function calling() {
  const pdp = await FakePdp.start()
  const point = await aPoint(pdp)
  let number = 0
  pdp.answer = (evaluation) =>
    pdp.allow(evaluation, { action_salt: Buffer.alloc(16, ++number + 6).toString('base64url') })
  const guard = async (action = anAction(), continues?: Round) => {
    const seen: Permitted[] = []
    const run = async (permitted: Permitted) => void seen.push(permitted)
    await point.guard({ ...aCall(action), continues }, run, () => ({ status: 'continued' as const }))
    return seen[0]?.round
  }
  const told = (n: number) => Object(pdp.evaluations[n]?.context.bailiwick)
  return {
    pdp,
    point,
    guard,
    told,
    async [Symbol.asyncDispose]() {
      await point[Symbol.asyncDispose]()
      await pdp[Symbol.asyncDispose]()
    },
  }
}

it('goes on with a call by a statement over this call and the first round’s action (V12)', async () => {
  await using w = await calling()
  const first = await w.guard()
  const name = saltedHash({ salt, text: actionText(anAction()) })
  expect(first).toEqual({ decisionId: expect.any(String), first: { action: name, salt }, since: expect.any(Number) })
  expect(Math.abs(Date.now() - (first?.since ?? 0))).toBeLessThan(60_000)
  const second = await w.guard(withAnswers(), first)
  expect(second).toEqual({ decisionId: expect.any(String), first: first?.first, since: first?.since })
  await w.guard(withAnswers(), second)
  await w.point.delivered()
  expect(w.pdp.outcomes.map(({ status }) => status)).toEqual(['continued', 'continued', 'continued'])
  expect(w.told(0).continues).toBeUndefined()
  const key = verifyingKey('pep-caller', callerKey.publicJwk)
  if (key === undefined) throw new Error('no key')
  for (const [n, from] of [first, second].entries()) {
    const { continues, call_id } = w.told(n + 1)
    expect(continues.salt).toBe(salt)
    const { installation } = trust
    expect(
      verifyContinuation({ continuation: continues.asked, key, installation, enforcementPoint: pointId }),
    ).toMatchObject({
      ok: true,
      value: { call_id, decision_id: from?.decisionId, action_digest: name, instance: w.point.instance },
    })
  }
})

it('has no further round of a call that began with answers', async () => {
  await using w = await calling()
  expect(await w.guard(withAnswers())).toBeUndefined()
})

it('names an action that humans signed by its digest', async () => {
  await using w = await calling()
  w.pdp.answer = (evaluation) => w.pdp.allow(evaluation)
  const first = await w.guard()
  expect(first?.first).toEqual({ action: sha256(actionText(anAction())), salt: undefined })
  await w.guard(withAnswers(), first)
  expect(w.told(1).continues).toEqual({ asked: expect.any(String) })
})
