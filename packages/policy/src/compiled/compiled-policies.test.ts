import { describe, expect, it } from 'vitest'
import type { PolicyRequest } from '../policy-engine.ts'
import { anyone, bothOf, holds, said } from './compiled.fixture.ts'

const raw = (text: string): unknown => (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text)
const nested = (levels: number, around: (inner: unknown) => unknown): unknown => {
  let value: unknown = 1
  for (let n = 0; n < levels; n++) value = around(value)
  return value
}
type Entities = NonNullable<PolicyRequest['entities']>
const team = (id: string, ...parents: string[]): Entities[number] => ({
  uid: { type: 'Team', id },
  attrs: {},
  parents: parents.map((parent) => ({ type: 'Team', id: parent })),
})

describe('decides as Cedar', () => {
  const several = bothOf(`
    @id("b") permit (principal, action, resource);
    @id("a") permit (principal, action, resource) when { context has ok };
    @id("f") forbid (principal, action, resource) when { context has no };
    @id("e") forbid (principal, action, resource) when { context has bad && context.bad };
    @id("__proto__") permit (principal == User::"bob", action, resource);`)

  it('names the permits that decide, in order', () => {
    expect(said(several)).toEqual({ decision: 'allow', reason: ['b'], erred: [] })
    expect(said(several, { context: { ok: 1 } })).toEqual({ decision: 'allow', reason: ['a', 'b'], erred: [] })
    expect(said(several, { principal: { type: 'User', id: 'bob' } })).toEqual({
      decision: 'allow',
      reason: ['__proto__', 'b'],
      erred: [],
    })
  })

  it('lets a forbid override permits, and names it alone', () => {
    expect(said(several, { context: { ok: 1, no: 1 } })).toEqual({ decision: 'deny', reason: ['f'], erred: [] })
  })

  it('leaves out a policy that errs, and names it (V13)', () => {
    expect(said(several, { context: { bad: 1 } })).toEqual({ decision: 'allow', reason: ['b'], erred: ['e'] })
    expect(said(several, { context: { bad: true, no: 1 } })).toEqual({
      decision: 'deny',
      reason: ['e', 'f'],
      erred: [],
    })
  })

  it('denies without a policy that permits', () => {
    expect(said(bothOf('@id("p") permit (principal, action == Action::"write", resource);'))).toEqual({
      decision: 'deny',
      reason: [],
      erred: [],
    })
  })

  it('takes a condition of each kind, in order', () => {
    const text = 'permit (principal, action, resource) when { context.a } unless { context.b } when { context.c };'
    const answers = [
      { a: true, b: false, c: true },
      { a: true, b: true, c: 1 },
      { a: false, b: 1, c: 1 },
      { a: true, b: false, c: 1 },
    ].map((context) => said(bothOf(text), { context }))
    expect(answers).toEqual([
      { decision: 'allow', reason: ['p.cedar#0'], erred: [] },
      { decision: 'deny', reason: [], erred: [] },
      { decision: 'deny', reason: [], erred: [] },
      { decision: 'deny', reason: [], erred: ['p.cedar#0'] },
    ])
  })
})

describe('gives nothing to a hostile request that Cedar does not give (V13)', () => {
  it.each([
    'context has constructor',
    'context has toString',
    'context has "__proto__"',
    'context.constructor == 1',
    'principal has constructor',
    'principal has "__proto__"',
    'principal.hasTag("__proto__")',
    'principal.hasTag("constructor")',
    'principal in Team::"__proto__"',
    '{} has "__proto__"',
  ])('finds nothing of JavaScript’s own: %s', (condition) => {
    const entities = [{ uid: anyone, attrs: {}, parents: [], tags: {} }]
    expect(holds(condition, { entities })).not.toBe(true)
  })

  it('reads members with names of JavaScript’s own as members', () => {
    const context = JSON.parse('{"__proto__":{"a":1},"constructor":2,"10":3,"9":4}')
    expect(holds('context["__proto__"].a == 1 && context.constructor == 2 && !(context has a)', { context })).toBe(true)
    expect(holds('context == {"9": 4, "10": 3, "constructor": 2, "__proto__": {"a": 1}}', { context })).toBe(true)
    const entities = [{ uid: { type: 'Team', id: '__proto__' }, attrs: context, parents: [] }]
    expect(holds('Team::"__proto__".constructor == 2', { entities })).toBe(true)
  })

  it.each([
    ['null', null],
    ['a fraction', 1.5],
    ['a number beyond 64 bits', 2 ** 64],
    ['a number with an exponent', 1e300],
    ['digits beyond 64 bits', raw('9223372036854775808')],
    ['digits with a fraction', raw('1.0')],
    ['digits with an exponent', raw('1e3')],
    ['zero with a sign', raw('-0')],
    ['half of a character', '\ud800'],
    ['a name that is reserved', { __entity: { type: 'if', id: 'x' } }],
    ['a name with a space', { __entity: { type: 'User ', id: 'x' } }],
    ['a name of Cedar’s', { __entity: { type: '__cedar::User', id: 'x' } }],
    ['an expression', { __expr: 'true' }],
    ['an address that is none', { __extn: { fn: 'ip', arg: 'localhost' } }],
    ['a function that is none', { __extn: { fn: 'nothing', arg: '1' } }],
    ['nesting beyond what is read', nested(200, (inner) => ({ a: inner }))],
  ])('refuses %s in a context, as Cedar does', (_, value) => {
    expect(holds('true', { context: { value } })).toBe('refused')
    expect(holds('true', { context: { in: [{ value }] } })).toBe('refused')
    const attrs = { value } as Entities[number]['attrs']
    expect(holds('true', { entities: [{ uid: anyone, attrs, parents: [] }] })).toBe('refused')
  })

  it.each([
    ['a number beyond 53 bits', 2 ** 53],
    ['a name with more than a type and an id', { __entity: { type: 'User', id: 'x', more: 1 } }],
    ['a name with something beside it', { __entity: { type: 'User', id: 'x' }, more: 1 }],
    ['a call with more than one argument', { __extn: { fn: 'decimal', arg: '1.0', more: 1 } }],
    ['a member that is called as an escape', { __expr: 1 }],
    ['deep nesting', nested(40, (inner) => [inner])],
    ['an object that spells itself', new Date(0)],
  ])('leaves %s to Cedar', (_, value) => {
    expect(holds('true', { context: { value } })).toBe('request')
  })

  it('takes what JSON leaves out as absent', () => {
    expect(holds('!(context has gone) && context has there', { context: { gone: undefined, there: -0 } })).toBe(true)
  })

  it('compares texts by their characters, not by how they look', () => {
    expect(holds('context.a == context.b', { context: { a: 'é', b: 'e\u0301' } })).toBe(false)
    expect(holds('User::"e\\u{301}" == principal', { principal: { type: 'User', id: 'é' } })).toBe(false)
    expect(holds('context.a like "*e*"', { context: { a: 'é' } })).toBe(false)
  })

  it('refuses entities that are in themselves, and those that are given twice', () => {
    const condition = 'Team::"a" in Team::"b"'
    expect(holds(condition, { entities: [team('a', 'a')] })).toBe('refused')
    expect(holds(condition, { entities: [team('a', 'b'), team('b', 'a')] })).toBe('refused')
    expect(holds(condition, { entities: [team('x', 'a'), team('a', 'b'), team('b', 'c'), team('c', 'a')] })).toBe(
      'refused',
    )
    const other = { ...team('a', 'b'), attrs: { more: 1 } }
    expect(holds(condition, { entities: [team('a', 'b'), other] })).toBe('refused')
    // Equal ones Cedar takes.
    expect(holds(condition, { entities: [team('a', 'b'), team('a', 'b')] })).toBe('request')
    expect(holds(condition, { entities: [team('a', 'b', 'b'), team('b')] })).toBe(true)
    expect(holds(condition, { entities: [team('a', 'c', 'd'), team('c', 'e'), team('d', 'e'), team('e', 'b')] })).toBe(
      true,
    )
  })

  it.each([
    ['another member', { ...team('a'), more: 1 }, 'request'],
    ['no attributes', { uid: { type: 'Team', id: 'a' }, parents: [] }, 'refused'],
    ['no parents', { uid: { type: 'Team', id: 'a' }, attrs: {} }, 'refused'],
    ['tags that are null', { ...team('a'), tags: null }, 'refused'],
    ['a parent without an id', { ...team('a'), parents: [{ type: 'Team' }] }, 'refused'],
    ['a name in text', { ...team('a'), uid: 'Team::"a"' }, 'refused'],
    ['nothing', null, 'refused'],
  ])('does not decide about an entity with %s', (_, entity, expected) => {
    expect(holds('true', { entities: [entity as Entities[number]] })).toBe(expected)
  })

  it.each([
    ['principal', { principal: { type: 'if', id: 'x' } }],
    ['principal', { principal: { type: '', id: 'x' } }],
    ['resource', { resource: { type: 'Doc', id: '\udc00' } }],
    ['action', { action: { type: 'Action ', id: 'x' } }],
  ])('refuses a %s with a name that is none', (_, request) => {
    expect(holds('true', request)).toBe('refused')
  })
})

describe('ends for a hostile request, as each of these would not in quadratic time (V18)', () => {
  const answered = (condition: string, request: Partial<PolicyRequest>) => {
    const { compiled } = bothOf(`permit (principal, action, resource) when { ${condition} };`)
    const answer = compiled.answer({ principal: anyone, action: 'read', resource: anyone, context: {}, ...request })
    return typeof answer === 'string' ? answer : answer.decision
  }

  it('compares large sets of records, and looks for members in them', () => {
    const set = () => Array.from({ length: 30_000 }, (_, n) => ({ id: String(n), of: [n, { n }] }))
    const context = { a: set(), b: set().reverse() }
    expect(answered('context.a == context.b && context.a.containsAll(context.b)', { context })).toBe('allow')
  })

  it('follows a long chain of parents', () => {
    const entities = Array.from({ length: 100_000 }, (_, n) => team(String(n), String(n + 1)))
    expect(answered('Team::"0" in Team::"99999"', { entities })).toBe('allow')
  })

  it('matches a pattern of many stars', () => {
    expect(answered(`context.text like "${'*a'.repeat(200)}*b"`, { context: { text: 'a'.repeat(1_000_000) } })).toBe(
      'deny',
    )
  })
})

describe('says which policy it does not compile', () => {
  it('names the policy and the reason, and answers requests that it does not apply to', () => {
    const deep = Array.from({ length: 210 }, (_, n) => `context.n == ${n}`).join(' || ')
    const both = bothOf(`
      @id("deep") permit (principal == User::"bob", action, resource) when { ${deep} };
      @id("odd") forbid (principal == User::"eve", action, resource) when { unknown("x") };
      @id("all") permit (principal, action, resource);`)
    expect([...both.compiled.notCompiled]).toEqual([
      ['deep', 'nested more than 200 deep'],
      ['odd', 'a function that is not known here: unknown'],
    ])
    expect(said(both)).toEqual({ decision: 'allow', reason: ['all'], erred: [] })
    expect(said(both, { principal: { type: 'User', id: 'bob' } })).toBe('policy')
    expect(said(both, { principal: { type: 'User', id: 'eve' } })).toBe('policy')
  })

  it('orders policies that err as Cedar does', () => {
    const ids = ['a', 'a\\t', 'a\\u{b}', 'é', '10', '9', '__proto__']
    const policies = ids
      .map((id) => `@id("${id}") permit (principal, action, resource) when { context.none };`)
      .join('\n')
    expect(said(bothOf(policies))).toMatchObject({ decision: 'deny', erred: { length: ids.length } })
  })

  it('decides as Cedar at the deepest that it compiles', () => {
    const value = nested(30, (inner) => [inner])
    const chain = Array.from({ length: 190 }, (_, n) => `context.n == ${n}`).join(' || ')
    expect(holds(`context.a == context.b || ${chain}`, { context: { n: 190, a: value, b: value } })).toBe(true)
    expect(holds(chain, { context: { n: 189 } })).toBe(true)
    expect(holds(chain, { context: { n: 190 } })).toBe(false)
  })

  it('does not compile a policy whose id would change the order of those that err', () => {
    expect([...bothOf('@id("a\\nb") permit (principal, action, resource);').compiled.notCompiled.keys()]).toEqual([
      'a\nb',
    ])
  })
})
