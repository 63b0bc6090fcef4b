import { expect, it } from 'vitest'
import {
  checkParseSchema,
  isAuthorizedPartial,
  policySetTextToParts,
  policyToJson,
  preparsePolicySet,
  preparseSchema,
  statefulIsAuthorized,
} from './cedar.ts'

const nested = (levels: number) =>
  `permit (principal, action, resource) when { ${'('.repeat(levels)}true${')'.repeat(levels)} };`
const chained = (terms: number) =>
  `permit (principal, action, resource) when { ${Array(terms).fill('context.n == 1').join(' || ')} };`
const schema = 'entity U; action a appliesTo { principal: U, resource: U, context: { n: Long } };'
const name = (type: string, id: string) => ({ type, id })
const asked = (policies: string, withSchema?: string) =>
  statefulIsAuthorized({
    principal: name('U', 'u'),
    action: name('Action', 'a'),
    resource: name('U', 'r'),
    context: { n: 7 },
    entities: [],
    preparsedPolicySetId: policies,
    ...(withSchema === undefined ? {} : { preparsedSchemaName: withSchema, validateRequest: true }),
  })
const decided = (policies: string, withSchema?: string) => {
  const answer = asked(policies, withSchema)
  return answer.type === 'success' ? answer.response.decision : answer.errors[0]?.message
}

it('replaces an instance that trapped: what was kept by name answers as before, and so does every other request (V13)', () => {
  let made = 0
  const permit = () => ({
    staticPolicies: { p: `permit (principal, action, resource) when { context.n == ${++made && 7} };` },
  })
  expect(preparsePolicySet('cedar.test permit', permit).type).toBe('success')
  expect(preparsePolicySet('cedar.test forbid', () => ({ staticPolicies: {} })).type).toBe('success')
  expect(preparseSchema('cedar.test', () => schema).type).toBe('success')
  const traps: (() => unknown)[] = [
    () => policySetTextToParts(nested(2000)),
    () => policyToJson(nested(2000)),
    () => preparsePolicySet('cedar.test deep', () => ({ staticPolicies: { p: nested(2000) } })),
  ]
  for (const trap of traps) {
    expect(trap).toThrow('nested too deeply')
    expect(decided('cedar.test permit', 'cedar.test')).toBe('allow')
    expect(decided('cedar.test permit')).toBe('allow')
    expect(decided('cedar.test forbid', 'cedar.test')).toBe('deny')
    expect(checkParseSchema(schema).type).toBe('success')
    expect(checkParseSchema('entity').type).toBe('failure')
  }
  // Once at the start, and once for each instance.
  expect(made).toBe(1 + traps.length)
})

it('one that trapped over a question answers the next one (V13)', () => {
  expect(preparsePolicySet('cedar.test chain', () => ({ staticPolicies: { p: chained(1000) } })).type).toBe('success')
  expect(preparsePolicySet('cedar.test other', () => ({ staticPolicies: { p: chained(2) } })).type).toBe('success')
  expect(() => asked('cedar.test chain')).toThrow('nested too deeply')
  expect(decided('cedar.test other')).toBe('deny')
  const partial = isAuthorizedPartial({
    principal: null,
    action: null,
    resource: null,
    context: {},
    entities: [],
    policies: { staticPolicies: { p: 'permit (principal, action, resource);' } },
  })
  expect(partial.type).toBe('residuals')
})

it('what it cannot read is thrown as it is, and replaces nothing; of a trap the sentence names what it was', () => {
  let made = 0
  const none = () => ({ staticPolicies: { p: `forbid (principal, action, resource) when { ${++made} == 0 };` } })
  expect(preparsePolicySet('cedar.test none', none).type).toBe('success')
  expect(preparsePolicySet('cedar.test none', () => ({ staticPolicies: { p: 'permit' } })).type).toBe('failure')
  const circle: Record<string, never> = {}
  circle.self = circle as never
  const request = { principal: name('U', 'u'), action: name('Action', 'a'), resource: name('U', 'r'), entities: [] }
  const unread = () => statefulIsAuthorized({ ...request, context: circle, preparsedPolicySetId: 'cedar.test none' })
  expect(unread).toThrow(expect.not.objectContaining({ message: expect.stringContaining('nested too deeply') }))
  expect([decided('cedar.test none'), made]).toEqual(['deny', 1])
  expect(() => policySetTextToParts(nested(2000))).toThrow(
    expect.objectContaining({ cause: expect.objectContaining({ name: expect.stringMatching(/^R\w+Error$/) }) }),
  )
  // The refused set did not replace the loaded one.
  expect([decided('cedar.test none'), made]).toEqual(['deny', 2])
})
