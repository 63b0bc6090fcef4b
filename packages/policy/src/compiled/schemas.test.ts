import { expect, it } from 'vitest'
import type { PolicyRequest } from '../policy-engine.ts'
import { anyone, bothOf, said } from './compiled.fixture.ts'

const schema = `
  type Pair = { left: Long, right?: String };
  entity User in [Team] { age?: Long, boss?: User, pairs?: Set<Pair>, home?: ipaddr } tags Set<String>;
  entity Team in [Org];
  entity Org;
  entity Colour enum ["red", "__proto__"];
  entity Doc;
  action all;
  action read in [all] appliesTo { principal: [User], resource: [Doc, Colour], context: {
    n?: Long, ok?: Bool, s?: String, u?: User, c?: Colour, act?: Action, amount?: decimal, at?: datetime, pair?: Pair,
    name?: { "type": String, "id": String }, "__proto__"?: Long, sets?: Set<Set<Long>> } };
  action write in [all] appliesTo { principal: [Team], resource: [Doc] };
  action strict appliesTo { principal: [User], resource: [Doc], context: { must: Long } };`
const both = bothOf('@id("p") permit (principal, action, resource);', schema)
const allowed = { decision: 'allow', reason: ['p'], erred: [] }

type Entity = NonNullable<PolicyRequest['entities']>[number]
const user = (more: Partial<Record<keyof Entity, unknown>>) =>
  ({ uid: anyone, attrs: {}, parents: [], ...more }) as Entity
const uid = (type: string, id: string) => ({ type, id })

it.each<[string, Record<string, unknown>]>([
  ['each type', { n: 1, ok: true, s: 'x' }],
  ['a name, escaped or not', { u: { __entity: anyone }, c: uid('Colour', 'red'), act: uid('Action', 'read') }],
  ['extension values, escaped or not', { amount: '1.0', at: { __extn: { fn: 'datetime', arg: '2024-01-01' } } }],
  ['records', { pair: { left: 1 }, name: { type: 'User', id: 'x' } }],
  ['names of JavaScript’s own', JSON.parse('{"__proto__":1}')],
  ['sets of different sizes', { sets: [[], [1], [1, 2]] }],
  ['nothing', {}],
])('takes a context with %s, as Cedar does', (_, context) => {
  expect(said(both, { context })).toEqual(allowed)
})

it.each<[string, Record<string, unknown>]>([
  ['a member that is not declared', { other: 1 }],
  ['another type', { n: '1' }],
  ['a text for a boolean', { ok: 'true' }],
  ['a number for a text', { s: 1 }],
  ['a name of another type', { u: uid('Team', 'x') }],
  ['a name that its type does not list', { c: uid('Colour', 'blue') }],
  ['an action that is not declared', { act: uid('Action', 'nothing') }],
  ['an amount that is none', { amount: '1' }],
  ['an amount by another function', { amount: { __extn: { fn: 'ip', arg: '::1' } } }],
  ['a record that lacks a member', { pair: { right: 'x' } }],
  ['a record with another member', { pair: { left: 1, more: 1 } }],
  ['a list for a record', { pair: [] }],
  ['a record for a list', { sets: {} }],
  ['another type in a set', { sets: [[1], ['1']] }],
  ['null', { n: null }],
])('refuses a context with %s, as Cedar does (V13)', (_, context) => {
  expect(said(both, { context })).toBe('refused')
})

it.each<[string, Partial<PolicyRequest>]>([
  ['an action that is not declared', { action: 'nothing' }],
  ['a group of actions', { action: 'all' }],
  ['a principal of another type', { principal: uid('Team', 'x') }],
  ['a resource of another type', { resource: uid('Org', 'x') }],
  ['a resource that its type does not list', { resource: uid('Colour', 'blue') }],
  ['a type that is not declared', { principal: uid('Unknown', 'x') }],
  ['no context where one is required', { action: 'strict' }],
])('refuses %s, as Cedar does (V13)', (_, request) => {
  expect(said(both, request)).toBe('refused')
})

it('takes principals and resources that the action applies to', () => {
  expect(said(both, { resource: uid('Colour', '__proto__') })).toEqual(allowed)
  expect(said(both, { action: uid('Action', 'write'), principal: uid('Team', 'x') })).toEqual(allowed)
  expect(said(both, { action: 'strict', context: { must: 1 } })).toEqual(allowed)
})

it.each<[string, Entity]>([
  ['nothing', user({})],
  ['attributes', user({ attrs: { age: 1, boss: anyone, pairs: [{ left: 1 }, { left: 2, right: 'x' }], home: '::1' } })],
  ['tags', user({ tags: JSON.parse('{"a":["x"],"__proto__":[]}') })],
  ['a group', user({ parents: [uid('Team', 'a')] })],
  ['a group of a group', user({ parents: [uid('Org', 'a')] })],
  ['a listed id', { uid: uid('Colour', 'red'), attrs: {}, parents: [] }],
])('takes an entity with %s, as Cedar does', (_, entity) => {
  expect(said(both, { entities: [entity] })).toEqual(allowed)
})

it.each<[string, Entity]>([
  ['an attribute that is not declared', user({ attrs: { other: 1 } })],
  ['an attribute of another type', user({ attrs: { age: 'x' } })],
  ['a tag of another type', user({ tags: { a: 'x' } })],
  ['tags that its type lacks', { uid: uid('Team', 'a'), attrs: {}, parents: [], tags: { a: ['x'] } as never }],
  ['a group of a type that may hold none of its type', user({ parents: [uid('User', 'x')] })],
  ['a type that is not declared', { uid: uid('Unknown', 'a'), attrs: {}, parents: [] }],
  ['an id that its type does not list', { uid: uid('Colour', 'blue'), attrs: {}, parents: [] }],
  ['an action without its groups', { uid: uid('Action', 'read'), attrs: {}, parents: [] }],
])('refuses an entity with %s, as Cedar does (V13)', (_, entity) => {
  expect(said(both, { entities: [entity] })).toBe('refused')
})

it('leaves an action that is given as the schema has it to Cedar', () => {
  expect(said(both, { entities: [{ uid: uid('Action', 'read'), attrs: {}, parents: [uid('Action', 'all')] }] })).toBe(
    'request',
  )
})

it('knows the groups of actions from the schema', () => {
  const grouped = bothOf(
    `@id("g") permit (principal, action in Action::"all", resource);
     @id("c") permit (principal, action, resource) when { Action::"write" in Action::"all" && !(action has x) };`,
    schema,
  )
  expect(said(grouped)).toEqual({ decision: 'allow', reason: ['c', 'g'], erred: [] })
})

it('tells namespaces apart', () => {
  const spaced = bothOf(
    '@id("n") permit (principal is N::User, action == N::Action::"read", resource) when { principal in N::Team::"t" && context.u == principal };',
    `namespace N { entity User in [Team]; entity Team; entity Doc; action read appliesTo { principal: [User], resource: [Doc], context: { u: User } }; }
     entity Other;`,
  )
  const principal = uid('N::User', 'a')
  const request = { principal, action: uid('N::Action', 'read'), resource: uid('N::Doc', 'd') }
  const entities = [{ uid: principal, attrs: {}, parents: [uid('N::Team', 't')] }]
  expect(said(spaced, { ...request, context: { u: principal }, entities })).toEqual({
    decision: 'allow',
    reason: ['n'],
    erred: [],
  })
  expect(said(spaced, { ...request, context: { u: uid('Other', 'a') }, entities })).toBe('refused')
  expect(said(spaced, { ...request, action: 'read', context: { u: principal } })).toBe('refused')
})
