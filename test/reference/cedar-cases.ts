import fc from 'fast-check'
import type { Entity, Expr, Policy, Request, Scope, Uid, Value } from './cedar.ts'

// Policies and requests of a world small enough for them to meet. Expressions mostly have the type that their place
// requires; sometimes they do not, because half of the comparison is about errors.

type Kind = 'boolean' | 'long' | 'string' | 'set' | 'entity' | 'record'
const kinds: readonly Kind[] = ['boolean', 'long', 'string', 'set', 'entity', 'record']

const uid = (type: string, id: string): Uid => ({ type, id })
const users = [uid('User', 'ann'), uid('User', 'bob'), uid('User', 'gone')]
const teams = [uid('Team', 'a'), uid('Team', 'b'), uid('Team', 'c')]
const docs = [uid('Doc', '1'), uid('Doc', ' 1'), uid('Doc', 'q"\\*'), uid('Doc', '')]
const actions = [uid('Action', 'read'), uid('Action', 'write'), uid('Action', 'all')]
const everything = [...users, ...teams, ...docs, ...actions]
const types = ['User', 'Team', 'Doc', 'Action', 'Nobody']

/** The usual type of each attribute. */
const attributes: readonly [string, Kind][] = [
  ['on', 'boolean'],
  ['count', 'long'],
  ['name', 'string'],
  ['tags', 'set'],
  ['owner', 'entity'],
  ['more', 'record'],
  ['odd name', 'long'],
]
const namesOf = (kind: Kind) => attributes.filter(([, holds]) => holds === kind).map(([name]) => name)

/** The entities with attributes; Cedar spends its time reading them. */
const described = new Set([...users, ...docs.slice(0, 2)])
const nothing = fc.constant(new Map<string, Value>())

const uids = fc.constantFrom(...everything)
const longs = fc.constantFrom(0n, 1n, 2n, -1n, 3n, 9007199254740991n, -9007199254740991n)
const limits = fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n), 2n ** 62n, 3037000500n)
const strings = fc.constantFrom('', 'a', 'ab', 'abc', 'A', '*', 'a*c', '"\\', 'é', '😀', 'line\n', 'a\0')
const parts = fc.oneof(fc.constant(null), fc.constantFrom('a', 'b', 'c', '*', '"', '\\', 'é', '😀', '\n'))

const scalars: Record<'boolean' | 'long' | 'string' | 'entity', fc.Arbitrary<Value>> = {
  boolean: fc.boolean(),
  long: longs,
  string: strings,
  entity: uids,
}
const scalar = fc.oneof(...Object.values(scalars))
const sets = fc.oneof(
  fc.array(strings as fc.Arbitrary<Value>, { maxLength: 3 }),
  fc.array(longs as fc.Arbitrary<Value>, { maxLength: 3 }),
  fc.array(uids as fc.Arbitrary<Value>, { maxLength: 3 }),
  fc.array(scalar, { maxLength: 3 }),
)
const membersOf = (values: (kind: Kind) => fc.Arbitrary<Value>): fc.Arbitrary<Map<string, Value>> =>
  fc
    .record(Object.fromEntries(attributes.map(([name, kind]) => [name, values(kind)])), { requiredKeys: [] })
    .map((record) => new Map(Object.entries(record) as [string, Value][]))
const flat = (kind: Kind): fc.Arbitrary<Value> => {
  if (kind === 'set') return sets
  return kind === 'record' ? fc.constant({ members: new Map() }) : scalars[kind]
}
const nested = (kind: Kind): fc.Arbitrary<Value> =>
  kind === 'record'
    ? membersOf(flat).map((members) => ({ members }))
    : fc.oneof({ weight: 12, arbitrary: flat(kind) }, scalar)
const members = membersOf(nested)

const variables = fc.constantFrom<Expr[]>(
  { is: 'variable', name: 'principal' },
  { is: 'variable', name: 'action' },
  { is: 'variable', name: 'resource' },
)
const context: Expr = { is: 'variable', name: 'context' }
const attributed = fc.oneof({ weight: 2, arbitrary: fc.constant(context) }, variables)

/** Expressions that cannot be made smaller. */
function leaf(kind: Kind): fc.Arbitrary<Expr> {
  const held = fc
    .record({ of: attributed, name: fc.constantFrom(...namesOf(kind)) })
    .map((get): Expr => ({ is: 'get', ...get }))
  const literal = (value: boolean | bigint | string): Expr => ({ is: 'literal', value })
  switch (kind) {
    case 'boolean':
      return fc.oneof(fc.boolean().map(literal), held)
    case 'long':
      return fc.oneof({ weight: 3, arbitrary: longs.map(literal) }, limits.map(literal), held)
    case 'string':
      return fc.oneof(strings.map(literal), held)
    case 'entity':
      return fc.oneof(
        { weight: 2, arbitrary: variables },
        uids.map((named): Expr => ({ is: 'uid', uid: named })),
        held,
      )
    case 'set':
      return fc.oneof(held, fc.constant<Expr>({ is: 'set', items: [] }))
    case 'record':
      return fc.oneof(fc.constant(context), held)
  }
}

const made = new Map<string, fc.Arbitrary<Expr>>()

/** Mostly of the required type. */
function exprs(wanted: Kind, depth: number): fc.Arbitrary<Expr> {
  const key = `${wanted} ${depth}`
  const known = made.get(key)
  if (known) return known
  const right =
    depth === 0 ? leaf(wanted) : fc.oneof(leaf(wanted), { weight: 3, arbitrary: compound(wanted, depth - 1) })
  const wrong = fc.oneof(...kinds.map((kind) => (depth === 0 ? leaf(kind) : exprs(kind, 0))))
  const either = fc.oneof({ weight: 40, arbitrary: right }, wrong)
  made.set(key, either)
  return either
}

function compound(kind: Kind, depth: number): fc.Arbitrary<Expr> {
  const of = (wanted: Kind) => exprs(wanted, depth)
  const any = fc.oneof(...kinds.map(of))
  const some = (wanted: Kind) => fc.array(of(wanted), { minLength: 1, maxLength: 3 })
  const two = <T extends Expr['is']>(names: readonly T[], left: fc.Arbitrary<Expr>, right: fc.Arbitrary<Expr>) =>
    fc.record({ is: fc.constantFrom(...names), left, right }) as fc.Arbitrary<Expr>
  const choice = fc.record({ is: fc.constant('if' as const), test: of('boolean'), yes: of(kind), no: of(kind) })
  const get = fc
    .record({ of: fc.oneof(of('entity'), of('record')), name: fc.constantFrom(...namesOf(kind)) })
    .map((held): Expr => ({ is: 'get', ...held }))
  const guarded = fc
    .record({ of: attributed, name: fc.constantFrom(...namesOf(kind)), no: of(kind) })
    .map(({ no, ...held }): Expr => ({ is: 'if', test: { is: 'has', ...held }, yes: { is: 'get', ...held }, no }))
  const items = fc
    .oneof(...(['string', 'long', 'entity'] as const).map(some))
    .map((list): Expr => ({ is: 'set', items: list }))
  const named = fc.uniqueArray(fc.tuple(fc.constantFrom('count', 'name', 'odd name'), any), {
    maxLength: 2,
    selector: ([name]) => name,
  })
  const own: Record<Kind, fc.Arbitrary<Expr>[]> = {
    boolean: [
      two(['&&', '||'], of('boolean'), of('boolean')),
      of('boolean').map((inner): Expr => ({ is: 'not', of: inner })),
      two(['<', '<=', '>', '>='], of('long'), of('long')),
      fc.constantFrom(...kinds).chain((same) => two(['==', '!='], of(same), fc.oneof(of(same), any))),
      two(
        ['in'],
        of('entity'),
        fc.oneof(
          of('entity'),
          some('entity').map((list): Expr => ({ is: 'set', items: list })),
        ),
      ),
      two(['contains'], of('set'), fc.oneof(of('string'), of('long'), of('entity'))),
      two(['containsAll', 'containsAny'], of('set'), of('set')),
      of('set').map((inner): Expr => ({ is: 'isEmpty', of: inner })),
      fc
        .record({
          of: fc.oneof(of('entity'), of('record')),
          name: fc.constantFrom(...attributes.map(([name]) => name)),
        })
        .map((has): Expr => ({ is: 'has', ...has })),
      fc.record({ is: fc.constant('like' as const), of: of('string'), pattern: fc.array(parts, { maxLength: 5 }) }),
      fc
        .record({ of: of('entity'), type: fc.constantFrom(...types) })
        .map((tested): Expr => ({ is: 'type', ...tested })),
      fc
        .record({ of: of('entity'), type: fc.constantFrom(...types), within: of('entity') })
        .map((tested): Expr => ({ is: 'type', ...tested })),
    ],
    long: [
      two(['+', '-', '*'], of('long'), of('long')),
      of('long').map((inner): Expr => ({ is: 'negate', of: inner })),
    ],
    string: [],
    set: [items],
    entity: [],
    record: [named.map((list): Expr => ({ is: 'record', members: list }))],
  }
  return fc.oneof(...own[kind].map((arbitrary) => ({ weight: 2, arbitrary })), choice, get, guarded)
}

/** Mostly all, or the entities of a request: a policy that never applies shows nothing. */
const scopes = (own: readonly Uid[], above: readonly Uid[]): fc.Arbitrary<Scope> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constant<Scope>({}) },
    fc.constantFrom(...own, ...above).map((eq) => ({ eq })),
    fc.constantFrom(...own, ...above).map((ancestor) => ({ in: ancestor })),
    fc.constantFrom(...types).map((type) => ({ type })),
    fc.record({ type: fc.constantFrom(...types), in: fc.constantFrom(...own, ...above) }),
  )
const actionScopes: fc.Arbitrary<Scope> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Scope>({}) },
  fc.constantFrom(...actions).map((eq) => ({ eq })),
  fc.constantFrom(...actions).map((ancestor) => ({ in: ancestor })),
  fc.subarray(actions).map((ancestors) => ({ in: ancestors })),
)

export const policySets: fc.Arbitrary<Policy[]> = fc
  .array(
    fc.record({
      effect: fc.constantFrom<Policy['effect'][]>('permit', 'permit', 'forbid'),
      principal: scopes(users, teams),
      action: actionScopes,
      resource: scopes(docs, teams),
      conditions: fc.array(
        fc.record({ kind: fc.constantFrom('when' as const, 'unless' as const), body: exprs('boolean', 3) }),
        { maxLength: 2 },
      ),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((policies) => policies.map((policy, n) => ({ id: `p${n}`, ...policy })))

/** Some of them, with parents only from those later in the list, so that there is no cycle; `gone` never exists. */
const entityStores: fc.Arbitrary<Entity[]> = fc
  .tuple(
    ...everything.map((named, n) =>
      fc.tuple(fc.constant(named), described.has(named) ? members : nothing, fc.subarray(parentsOf(named, n))),
    ),
  )
  .chain((all) => fc.subarray(all.filter(([named]) => named.id !== 'gone')))
  .map((all) => all.map(([named, own, parents]) => ({ uid: named, attributes: own, parents })))

function parentsOf({ type }: Uid, n: number): Uid[] {
  if (type === 'Action') return actions.slice(-1).filter(() => n < everything.length - 1)
  return type === 'Team' ? everything.slice(n + 1, users.length + teams.length) : teams
}

export const requests: fc.Arbitrary<Request> = fc.record({
  principal: fc.constantFrom(...users),
  action: fc.constantFrom(...actions),
  resource: fc.constantFrom(...docs),
  context: members,
  entities: entityStores,
})
