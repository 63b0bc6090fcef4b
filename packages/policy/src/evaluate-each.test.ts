import { expect, it } from 'vitest'
import { evaluateEach } from './evaluate-each.ts'
import type { PolicyAnswer, PolicyEngine, PolicyRequest } from './policy-engine.ts'

const allow: PolicyAnswer = { outcome: 'allow', policies: ['all', 'own'] }
const stepUp: PolicyAnswer = { outcome: 'step_up', policies: ['ask'], permits: ['all', 'other'] }
const deny: PolicyAnswer = { outcome: 'deny', policies: ['no'] }
const error: PolicyAnswer = { outcome: 'error', policies: ['broken'] }
const invalid: PolicyAnswer = { outcome: 'invalid', why: 'of another type' }

/** The combined result of these answers, and how many of them were asked for. */
function each(...answers: PolicyAnswer[]) {
  let asked = 0
  const engine = { evaluate: () => answers[asked++] } as unknown as PolicyEngine
  const requests = answers.map(() => ({}) as PolicyRequest)
  const answer = evaluateEach(engine, requests)
  return { ...answer, asked }
}

it('allows what all allow, by all of their policies, each named once', () => {
  expect(each(allow)).toEqual({
    outcome: 'allow',
    policies: ['all', 'own'],
    permits: ['all', 'own'],
    wanting: [],
    asked: 1,
  })
  expect(each(allow, { outcome: 'allow', policies: ['all', 'x'] })).toMatchObject({
    policies: ['all', 'own', 'x'],
    permits: ['all', 'own', 'x'],
  })
})

it('wants a human where anybody needs one, and tells those policies from those that permit', () => {
  const wanted = { outcome: 'step_up', wanting: ['ask'] }
  expect(each(stepUp)).toMatchObject({ ...wanted, policies: ['ask'], permits: ['all', 'other'] })
  expect(each(allow, stepUp)).toMatchObject({
    ...wanted,
    policies: ['all', 'own', 'ask'],
    permits: ['all', 'own', 'other'],
  })
  expect(each(stepUp, allow)).toMatchObject({ ...wanted, policies: ['ask', 'all', 'own'] })
})

it('refuses with the first refusal, and asks nothing after it (V13)', () => {
  for (const refusal of [deny, error, invalid]) {
    expect(each(allow, refusal, allow)).toEqual({ ...refusal, asked: 2 })
    expect(each(stepUp, refusal)).toEqual({ ...refusal, asked: 2 })
  }
})
