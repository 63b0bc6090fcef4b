import { expect, it } from 'vitest'
import { statefulIsAuthorized } from './cedar.ts'
import type { PolicySet } from './policy-set.ts'
import { preparse } from './preparse.ts'

const schema = 'entity A; action a appliesTo { principal: A, resource: A };'
const setOf = (text: string, withSchema: string | undefined = schema) =>
  ({ schema: withSchema, policies: new Map([['one', { id: 'one', text }]]) }) as unknown as PolicySet
const ask = ({ policies, schema: named }: { policies: string; schema: string | undefined }) => {
  const one = { type: 'A', id: '1' }
  const answer = statefulIsAuthorized({
    ...{ principal: one, resource: one, action: { type: 'Action', id: 'a' }, context: {}, entities: [] },
    preparsedPolicySetId: policies,
    preparsedSchemaName: named ?? null,
    validateRequest: named !== undefined,
  } as Parameters<typeof statefulIsAuthorized>[0])
  return answer.type === 'success' ? answer.response.decision : answer.errors[0]?.message
}

it('answers by what was put last under a name, and leaves other names alone', () => {
  const allowing = preparse(setOf('permit(principal, action, resource);'), 'preparse-test-1')
  const other = preparse(setOf('permit(principal, action, resource);'), 'preparse-test-2')
  expect([ask(allowing), ask(other)]).toEqual(['allow', 'allow'])
  const denying = preparse(setOf('forbid(principal, action, resource);'), 'preparse-test-1')
  expect(denying).toEqual(allowing)
  expect([ask(denying), ask(other)]).toEqual(['deny', 'allow'])
})

it('names a schema only where there is one', () => {
  const set = { ...setOf('permit(principal, action, resource);'), schema: undefined } as PolicySet
  expect(preparse(set, 'preparse-test-3')).toEqual({ policies: 'preparse-test-3', schema: undefined })
})

it.each([
  ['policies', setOf('permit(principal'), 'the set'],
  ['a schema', setOf('permit(principal, action, resource);', 'entity {'), 'schema.cedarschema'],
])('takes no %s that Cedar cannot read (V13)', (_, set, named) => {
  expect(() => preparse(set, 'preparse-test-4')).toThrow(
    expect.objectContaining({ code: 'config_invalid', detail: expect.stringContaining(named) }),
  )
})
