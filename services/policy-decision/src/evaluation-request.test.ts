import { expect, it } from 'vitest'
import { evaluationRequest } from './evaluation-request.ts'

const asked = (context: object) =>
  evaluationRequest({
    subject: { type: 'agent', id: 'a' },
    action: { name: 'n' },
    resource: { type: 'tool', id: 't' },
    context: context as Record<string, unknown>,
  })

it('takes a number of bytes that an answer may have, and nothing else for one (V9)', () => {
  expect(asked({ bailiwick: { answer_bytes: 9 } }).observed.answer_bytes).toBe(9)
  expect(asked({ bailiwick: {} }).observed.answer_bytes).toBeUndefined()
  for (const wrong of [
    -1,
    0,
    0.5,
    2 ** 53,
    Number.POSITIVE_INFINITY,
    Number.NaN,
    '9',
    null,
    [9],
    { bytes: 9 },
    true,
    9n,
  ])
    expect(() => asked({ bailiwick: { answer_bytes: wrong } })).toThrow('answer_bytes')
})

it('takes a list of what an enforcement point can do, and nothing else for one', () => {
  expect(asked({ supported_obligations: ['custom', 'of somebody'] }).supported).toEqual(['custom', 'of somebody'])
  expect(asked({}).supported).toBeUndefined()
  for (const wrong of ['custom', null, {}, [1], [['custom']]])
    expect(() => asked({ supported_obligations: wrong })).toThrow('supported_obligations')
})
