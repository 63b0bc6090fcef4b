import { expect, it } from 'vitest'
import { askCedar, entitiesOf, judge } from './ask-cedar.ts'
import type { PolicyRequest } from './policy-engine.ts'
import { loadPolicySet } from './policy-set.ts'
import { preparse } from './preparse.ts'

const schema = `entity U { n: Long }; entity R;
action read appliesTo { principal: U, resource: R, context: { x?: Long } };`
let sets = 0
function names(policies: string, withSchema = false) {
  const files = { 'a.cedar': policies, ...(withSchema ? { 'schema.cedarschema': schema } : {}) }
  const set = loadPolicySet(new Map(Object.entries(files).map(([name, text]) => [name, Buffer.from(text)])))
  return preparse(set, `ask-cedar.test ${sets++}`)
}
const asked: PolicyRequest = {
  principal: { type: 'U', id: 'u', attributes: { n: 1 } },
  action: 'read',
  resource: { type: 'R', id: 'r' },
  context: {},
}
const all = '(principal, action, resource)'

it('asks about an action of an id as about one in no namespace, and about one that has a type as it is', () => {
  const set = names(
    `@id("bare") permit (principal, action == Action::"read", resource); @id("own") permit (principal, action == App::Action::"read", resource);`,
  )
  const reasons = (action: PolicyRequest['action']) => askCedar(set, { ...asked, action })
  expect(reasons('read')).toEqual({ ok: true, decision: 'allow', reason: ['bare'], errors: [] })
  expect(reasons({ type: 'App::Action', id: 'read' })).toMatchObject({ decision: 'allow', reason: ['own'] })
  expect(reasons('write')).toEqual({ ok: true, decision: 'deny', reason: [], errors: [] })
})

it('hands over what principal and resource assert as theirs, beside what is stored', () => {
  const stored = { uid: { type: 'U', id: 'boss' }, attrs: { n: 9 }, parents: [] }
  const request = { ...asked, resource: { ...asked.resource, attributes: { open: true } }, entities: [stored] }
  expect(entitiesOf(request)).toEqual([
    stored,
    { uid: { type: 'U', id: 'u' }, attrs: { n: 1 }, parents: [] },
    { uid: { type: 'R', id: 'r' }, attrs: { open: true }, parents: [] },
  ])
  expect(entitiesOf({ ...request, principal: { type: 'U', id: 'u' } })).toHaveLength(2)
  expect(entitiesOf({ ...asked, principal: { type: 'U', id: 'u' } })).toEqual([])
  const set = names(`permit ${all} when { principal.n == 1 && resource.open && U::"boss".n == 9 };`)
  expect(askCedar(set, request)).toMatchObject({ decision: 'allow' })
  expect(judge(askCedar(set, asked))).toEqual({ outcome: 'error', policies: ['a.cedar#0'] })
})

it('wants a request that fits the schema, unless the caller waives that: values must fit in any case (V13)', () => {
  const set = names(`permit ${all};`, true)
  expect(askCedar(set, asked)).toMatchObject({ ok: true, decision: 'allow' })
  const swapped = { ...asked, principal: { type: 'R', id: 'r' }, resource: { type: 'U', id: 'u' } }
  const refused = askCedar(set, swapped)
  expect(refused).toEqual({ ok: false, error: expect.stringContaining('`R` is not valid') })
  expect(judge(refused)).toEqual({ outcome: 'invalid', why: (refused as { error: string }).error })
  expect(askCedar(set, swapped, false)).toMatchObject({ ok: true, decision: 'allow' })
  const wrong = { ...asked, context: { x: 'many' } }
  expect(askCedar(set, wrong)).toMatchObject({ ok: false, error: expect.stringContaining('x') })
  // Without a schema there is nothing to validate against.
  expect(askCedar(names(`permit ${all};`), swapped)).toMatchObject({ ok: true, decision: 'allow' })
})

it.each<[what: string, context: Record<string, unknown>]>([
  ['a number that JSON lacks', { x: 5n }],
  ['a fraction', { x: 1.5 }],
  ['null', { x: null }],
  ['a circle', circle()],
])('never throws, and says why it has no answer, of %s (V13)', (_, context) => {
  const answer = askCedar(names(`permit ${all};`), { ...asked, context })
  expect(answer).toEqual({ ok: false, error: expect.stringMatching(/\w/) })
  expect(judge(answer)).toMatchObject({ outcome: 'invalid', why: expect.stringMatching(/\w/) })
})

it('names those that decided, and those that erred, in the order of their ids', () => {
  const many = (effect: string, condition = '') =>
    Array.from({ length: 20 }, (_, n) => `@id("${effect} ${n}") ${effect} ${all}${condition};`).join('\n')
  const sorted = (effect: string) => Array.from({ length: 20 }, (_, n) => `${effect} ${n}`).toSorted()
  expect(judge(askCedar(names(many('permit')), asked))).toEqual({ outcome: 'allow', policies: sorted('permit') })
  expect(judge(askCedar(names(many('forbid')), asked))).toEqual({ outcome: 'deny', policies: sorted('forbid') })
  const erring = askCedar(names(`permit ${all}; ${many('forbid', ' when { context.gone }')}`), asked)
  expect(erring).toMatchObject({ decision: 'allow', errors: { length: 20 } })
  expect(judge(erring)).toEqual({ outcome: 'error', policies: sorted('forbid') })
})

function circle(): Record<string, unknown> {
  const context: Record<string, unknown> = {}
  context.x = context
  return context
}
