import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { askCedar, judge } from './ask-cedar.ts'
import { cedarEngine } from './cedar-engine.ts'
import { CedarPolicies } from './cedar-policies.ts'
import type { PolicyRequest } from './policy-engine.ts'
import { loadPolicySet } from './policy-set.ts'
import { preparse } from './preparse.ts'
import { type Shape, shapesOf } from './schema-shapes.ts'

const schema = readFileSync(join(import.meta.dirname, '../../../policies/schema.cedarschema'))
const filesOf = (texts: readonly string[]) =>
  new Map([
    ['a.cedar', Buffer.from(texts.join('\n'))],
    ['schema.cedarschema', schema],
  ])

const whose = fc.constantFrom('task', 'agent')
const label = fc.constantFrom('destructive', 'external_send', 'unlabelled', 'writes')
const small = fc.integer({ min: 0, max: 3 })
const fact = fc.oneof(
  fc.tuple(whose, small).map(([of, n]) => `context.history.${of}.calls > ${n}`),
  fc.tuple(whose, label, small).map(([of, name, n]) => `context.history.${of}.count.${name} == ${n}`),
  fc.tuple(whose, label).map(([of, name]) => `context.history.${of}.labels.contains("${name}")`),
  fc
    .tuple(whose, label, small)
    .map(([of, name, n]) => `context.history.${of}.last has ${name} && context.history.${of}.last.${name} < ${n}`),
  fc.tuple(whose, label).map(([of, name]) => `context.history.${of}.spent.${name}.EUR.greaterThan(decimal("1.0"))`),
  fc.tuple(whose, small).map(([of, n]) => `context.history.${of}.denials + 9223372036854775806 > ${n}`),
  fc.constantFrom(
    'context.history.task == context.history.agent',
    'context.history.task.spent == context.history.agent.spent',
    'context == context',
    'context.history.agent has depth',
    '(if context.grant.approvers > 1 then context else context).history.task.depth > 0',
    'context.grant.mode == "window"',
    'context.time.hour > 11',
  ),
)
const condition = fc.oneof(
  fact,
  fc.tuple(fact, fact).map(([a, b]) => `(${a}) && (${b})`),
  fc.tuple(fact, fact).map(([a, b]) => `(${a}) || !(${b})`),
)
const policy = fc
  .tuple(fc.constantFrom('permit', 'forbid'), fc.constantFrom('when', 'unless'), condition)
  .map(([effect, when, of]) => `${effect} (principal, action == Action::"tools/call", resource) ${when} { ${of} };`)

/** Any value of the shape. */
function anyOf(shape: Shape): fc.Arbitrary<unknown> {
  if (shape.kind === 'Long') return small
  if (shape.kind === 'String') return fc.constantFrom('window', 'per_action')
  if (shape.kind === 'Set') return fc.uniqueArray(label)
  if (shape.kind !== 'Record') return fc.constantFrom('0.0', '2.0')
  const members = [...shape.members].map(([name, of]) => [name, anyOf(of)] as const)
  const required = [...shape.members.keys()].filter((name) => !shape.optional.has(name))
  return fc.record(Object.fromEntries(members), { requiredKeys: required, noNullPrototype: true })
}

const wholeEngine = cedarEngine(filesOf(['permit (principal, action, resource) when { context == context };']))
const whole = wholeEngine.context('tools/call') as Shape
const asked = (context: Record<string, unknown>) => ({
  principal: { type: 'agent', id: 'a', attributes: { instance: 'i', owner: 'o', labels: [] } },
  action: 'tools/call',
  resource: { type: 'tool', id: 't', attributes: { labels: [], server: 's' } },
  context,
})

function only(value: unknown, shape: Shape): unknown {
  if (shape.kind !== 'Record') return value
  const members = Object.entries(value as object).filter(([name]) => shape.members.has(name))
  return Object.fromEntries(members.map(([name, of]) => [name, only(of, shape.members.get(name) as Shape)]))
}

it('answers by what its policies read of the history as by all of it (V13)', () => {
  const seen = { allow: 0, deny: 0, error: 0, less: 0 }
  fc.assert(
    fc.property(
      fc.array(policy, { minLength: 1, maxLength: 5 }),
      fc.array(anyOf(whole), { minLength: 2, maxLength: 4 }),
      (texts, contexts) => {
        const files = filesOf(['permit (principal, action, resource);', ...texts])
        const engine = cedarEngine(files)
        const names = preparse(loadPolicySet(files), 'cedar-policies.test')
        const wanted = engine.context('tools/call') as Shape
        for (const context of contexts as Record<string, unknown>[]) {
          const answer = judge(askCedar(names, asked(context)))
          expect(engine.evaluate(asked(context))).toEqual(answer)
          const part = only(context, wanted) as Record<string, unknown>
          expect(engine.evaluate(asked(part))).toEqual(answer)
          if (answer.outcome in seen) seen[answer.outcome as keyof typeof seen]++
          if (JSON.stringify(part) !== JSON.stringify(context)) seen.less++
        }
      },
    ),
    { numRuns: 40 },
  )
  for (const times of Object.values(seen)) expect(times).toBeGreaterThan(4)
})

it('wants all of a history that a policy looks at as a whole, and nothing of one that none looks at', () => {
  const { members } = whole as Extract<Shape, { kind: 'Record' }>
  const of = (text: string) => {
    const shape = cedarEngine(filesOf([text])).context('tools/call') as Extract<Shape, { kind: 'Record' }>
    return shape.members.get('history') as Extract<Shape, { kind: 'Record' }>
  }
  expect(of('permit (principal, action, resource) when { context.history == context.history };')).toEqual(
    members.get('history'),
  )
  expect([...of('permit (principal, action, resource);').members.keys()]).toEqual([])
  const calls = of('permit (principal, action, resource) when { context.history.task.calls > 1 };')
  expect([...calls.members.keys()]).toEqual(['task'])
})

it.each([
  ['that is missing', undefined],
  ['of another type', { task: { calls: 'many' }, agent: {} }],
  ['that is no record', 'none'],
])('denies with a history %s, of which policies read something (V13)', (_, history) => {
  const engine = cedarEngine(
    filesOf(['permit (principal, action, resource) unless { context.history.task.calls > 100 };']),
  )
  const [context] = fc.sample(anyOf(whole) as fc.Arbitrary<Record<string, unknown>>, { numRuns: 1, seed: 1 })
  const { history: _there, ...others } = context as Record<string, unknown>
  expect(engine.evaluate(asked(context as Record<string, unknown>))).toMatchObject({ outcome: 'allow' })
  const broken = history === undefined ? others : { ...others, history }
  expect(engine.evaluate(asked(broken))).toMatchObject({ outcome: 'invalid' })
})

it('knows which group another action is in, as the whole schema does (V13)', () => {
  const groups = `entity U, R; action writing; action edit in [writing]; action view in [writing] appliesTo { principal: U, resource: R, context: {} };`
  const files = new Map([
    ['schema.cedarschema', Buffer.from(groups)],
    [
      'a.cedar',
      Buffer.from(
        '@id("all") permit (principal, action, resource); @id("no") forbid (principal, action, resource) when { Action::"edit" in Action::"writing" };',
      ),
    ],
  ])
  const request = { principal: { type: 'U', id: 'u' }, action: 'view', resource: { type: 'R', id: 'r' }, context: {} }
  expect(judge(askCedar(preparse(loadPolicySet(files), 'cedar-policies.test groups'), request))).toMatchObject({
    policies: ['no'],
  })
  expect(cedarEngine(files).evaluate(request)).toMatchObject({ outcome: 'deny', policies: ['no'] })
})

it('is ready for what its schema declares before it is asked, however much that is', () => {
  const numbers = Array.from({ length: 9 }, (_, n) => n)
  const types = (name: string) => numbers.map((n) => `${name}${n}`)
  const texts = numbers.flatMap((p) =>
    numbers.map((r) => `permit (principal is App::P${p}, action, resource is App::R${r});`),
  )
  const text = `namespace App { entity ${types('P')}, ${types('R')}; action other; action use appliesTo { principal: [${types('P')}], resource: [${types('R')}] }; }`
  const set = loadPolicySet(
    new Map([
      ['a.cedar', Buffer.from(texts.join('\n'))],
      ['schema.cedarschema', Buffer.from(text)],
    ]),
  )
  const shapes = shapesOf(text)
  const name = 'cedar-policies.test preheated'
  const policies = new CedarPolicies(set, name, { shapes, groupsOf: shapes.groups })
  const view = `${name} App::Action use`
  const asked = (principal: string, resource: string) => ({
    ...{ principal: { type: `App::${principal}`, id: '' }, resource: { type: `App::${resource}`, id: '' } },
    ...{ action: { type: 'App::Action', id: 'use' }, context: {} },
  })
  const answered = (slice: string, schema: string | undefined) =>
    askCedar({ policies: `${name}${slice}`, schema }, asked('P0', 'R0')).ok
  expect([answered('', undefined), answered('', view), answered(' 1', undefined)]).toEqual([true, false, false])
  policies.preheat()
  expect([answered('', view), answered(' 1', view), answered(' 64', view), answered(' 65', view)]).toEqual([
    ...[true, true, true, false],
  ])
  expect(answered('', `${name} App::Action other`)).toBe(false) // the other action applies to nothing
  expect(policies.evaluate(asked('P8', 'R8'))).toEqual({ outcome: 'allow', policies: ['a.cedar#80'] })
  expect(answered(' 65', view)).toBe(true)
})

it('asks without a schema about any action and any context, and has nothing to make before', () => {
  const texts = ['Action::"use"', 'App::Action::"use"'].map(
    (name) =>
      `@id("${name.replaceAll('"', '')}") permit (principal, action == ${name}, resource) when { context.history.n == 1 };`,
  )
  const set = loadPolicySet(new Map([['a.cedar', Buffer.from(texts.join('\n'))]]))
  const policies = new CedarPolicies(set, 'cedar-policies.test plain', { shapes: undefined, groupsOf: () => [] })
  policies.preheat()
  const about = (action: PolicyRequest['action']) => {
    const one = { type: 'U', id: 'u' }
    return { principal: one, action, resource: one, context: { history: { n: 1 } } }
  }
  expect(policies.context({ type: 'Action', id: 'use' })).toBeUndefined()
  expect(policies.evaluate(about('use'))).toEqual({ outcome: 'allow', policies: ['Action::use'] })
  expect(policies.evaluate(about({ type: 'App::Action', id: 'use' }))).toMatchObject({ policies: ['App::Action::use'] })
  expect(policies.say(about('use'))).toMatchObject({ ok: true, reason: ['Action::use'] })
  expect(policies.evaluate(about('other'))).toEqual({ outcome: 'deny', policies: [] })
})

it('requires and checks the whole history unless it knows which parts are read, and rejects an undeclared action', () => {
  const text =
    'entity U; action use appliesTo { principal: U, resource: U, context: { history: { n: Long, m: Long } } };'
  const set = loadPolicySet(
    new Map([
      ['a.cedar', Buffer.from('permit (principal, action, resource) when { context.history.n == 1 };')],
      ['schema.cedarschema', Buffer.from(text)],
    ]),
  )
  const shapes = shapesOf(text)
  const of = (name: string, reads?: (member: readonly string[]) => boolean) =>
    new CedarPolicies(set, `cedar-policies.test ${name}`, { shapes, groupsOf: () => [], ...(reads ? { reads } : {}) })
  const asked = (history: object, action = 'use') => {
    const one = { type: 'U', id: 'u' }
    return { principal: one, action, resource: one, context: { history } as Record<string, unknown> }
  }
  const [use, other] = ['use', 'other'].map((id) => ({ type: 'Action', id }))
  if (!use || !other) return expect.unreachable()
  const [all, some] = [of('all'), of('some', (member) => member.join('.') !== 'history.m')]
  expect(all.context(use)).toEqual(shapes.context(use))
  expect(JSON.stringify(memberNames(some.context(use)))).toBe('["n"]')
  expect(all.context(other)).toEqual(shapes.context(other))
  expect(all.evaluate(asked({ n: 1, m: 2 })).outcome).toBe('allow')
  expect(some.evaluate(asked({ n: 1, m: 'text' })).outcome).toBe('allow')
  expect(some.say(asked({ n: 1, m: 'text' }))).toMatchObject({ ok: true })
  for (const wrong of [
    all.evaluate(asked({ n: 1, m: 'text' })),
    all.evaluate(asked({ n: 1 })),
    all.evaluate(asked({ n: 1, m: 2 }, 'other')),
  ])
    expect(wrong.outcome).toBe('invalid')
})

/** The members of a context's history. */
function memberNames(context: Shape | undefined): string[] {
  const history = context?.kind === 'Record' ? context.members.get('history') : undefined
  return history?.kind === 'Record' ? [...history.members.keys()] : []
}
