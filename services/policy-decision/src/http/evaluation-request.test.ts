import { actionDigest } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { evaluationRequest, isNameable } from './evaluation-request.ts'

const asked = (context: object) =>
  evaluationRequest({
    subject: { type: 'agent', id: 'a' },
    action: { name: 'n' },
    resource: { type: 'tool', id: 't' },
    context: context as Record<string, unknown>,
  })

it('is read of an evaluation: who, what, on what, what was observed, and the digest of it (V3)', () => {
  const action = { name: 'n', properties: { a: 1 } }
  const resource = { type: 'tool', id: 't' }
  const plain = evaluationRequest({ subject: { type: 'agent', id: 'a' }, action, resource })
  expect(plain).toStrictEqual({
    subject: { type: 'agent', id: 'a' },
    action,
    resource,
    observed: {},
    withApproval: false,
    supported: undefined,
    digest: actionDigest({ ...action, resource }),
  })
  expect(asked({})).toMatchObject({ action: { name: 'n', properties: {} }, withApproval: false })
  expect(asked({ approval: null }).withApproval).toBe(true)
  expect(asked({ bailiwick: { htm: 'GET' } }).observed).toStrictEqual({ htm: 'GET' })
  const named = { ...resource, properties: { x: 1 } } // only a resource's type and id are compared
  expect(evaluationRequest({ subject: { type: 'agent', id: 'a' }, action, resource: named } as never)).toStrictEqual(
    plain,
  )
})

it('has no digest where arguments have no canonical form', () => {
  const properties = { text: '\ud800' }
  const request = evaluationRequest({
    subject: { type: 'agent', id: 'a' },
    action: { name: 'n', properties },
    resource: { type: 'tool', id: 't' },
  })
  expect(request).toMatchObject({ action: { properties }, digest: undefined })
})

it('says which member is malformed, and how', () => {
  const detailOf = (context: object) => {
    try {
      return asked(context)
    } catch (error) {
      return error
    }
  }
  expect(detailOf({ bailiwick: { htm: '' } })).toMatchObject({
    ...{ code: 'request_malformed', detail: 'context.bailiwick.htm: too_small' },
  })
  expect(detailOf({ supported_obligations: ['x', 1] })).toMatchObject({
    ...{ code: 'request_malformed', detail: 'context.supported_obligations.1: invalid_type' },
  })
})

it('can be named by events, as far as they have room for names', () => {
  const nameable = (subject: string, name: string, type: string, id: string) =>
    isNameable({ subject: { type: 'agent', id: subject }, action: { name }, resource: { type, id } } as never)
  const most = ['s'.repeat(2100), 'n'.repeat(200), 't'.repeat(100), 'i'.repeat(2048)] as const
  expect(nameable('s', 'n', 't', 'i')).toBe(true)
  expect(nameable(...most)).toBe(true)
  for (const at of most.keys()) {
    expect(nameable(...(most.with(at, '') as unknown as typeof most))).toBe(false)
    expect(nameable(...(most.with(at, `${most[at]}x`) as unknown as typeof most))).toBe(false)
  }
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
  expect(asked({ supported_obligations: ['custom', 'of others'] }).supported).toEqual(['custom', 'of others'])
  expect(asked({}).supported).toBeUndefined()
  for (const wrong of ['custom', null, {}, [1], [['custom']]])
    expect(() => asked({ supported_obligations: wrong })).toThrow('supported_obligations')
})

it.each<[member: string, least: number, most: number]>([
  ['credential', 0, 16_384],
  ['proof', 0, 8192],
  ['htm', 1, 32],
  ['htu', 1, 8192],
])('takes of what an enforcement point saw no longer text than it may be: %s', (member, least, most) => {
  const read = (value: unknown) => asked({ bailiwick: { [member]: value, other: 1 } }).observed
  for (const length of [least, most]) expect(read('x'.repeat(length))).toEqual({ [member]: 'x'.repeat(length) })
  for (const wrong of ['x'.repeat(most + 1), 1, null, ...(least === 0 ? [] : [''])])
    expect(() => read(wrong)).toThrow(`context.bailiwick.${member}: `)
})

it('takes of what an enforcement point can do as much as it may be, and no more', () => {
  const listing = (count: number, length: number) =>
    asked({ supported_obligations: Array.from({ length: count }, () => 'x'.repeat(length)) }).supported
  expect([listing(0, 0), listing(64, 256)?.length]).toEqual([[], 64])
  expect(() => listing(65, 1)).toThrow('supported_obligations.: too_big')
  expect(() => listing(1, 257)).toThrow('supported_obligations.0: too_big')
})
