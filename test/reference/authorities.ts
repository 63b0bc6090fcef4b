import type { Action, Authority, Budget, Constraint, Permission } from '@bailiwick/authority'
import fc from 'fast-check'

// Authorities, children of them that are a little narrower or a little wider, and actions near their bounds. Every
// value is here because it is close to another one.

const numbers = ['-1', '0', '0.5', '1', '1.0', '1.00', '1.000001', '2', '2.5', '10', '99999999999999999999.5']
const words = ['', 'x', 'xy', 'X', '1e0', '01', '-', '+1', '.5', ' 1', 'é', 'e\u0301', '-0']
/** Paths, and strings that different servers read as the same path, under the prefix `a/`, `/a/` or `f://a/`. */
export const tails = [
  ...[
    '',
    'x',
    'x/',
    '/x',
    '../x',
    '..',
    './x',
    '.../x',
    '.. ',
    '..\u00a0/x',
    '..;x',
    '..:x',
    '..%20',
    '%20../x',
    '..+',
    '+../x',
    '%c2%a0.',
    '..%E3%80%80/x',
    '+x/..+y',
    '..x',
    'x..',
    '.x/y',
  ],
  ...[
    '%2e%2e/x',
    '%2E',
    'x%2fy',
    'x%5Cy',
    '%252e',
    '%',
    '%4',
    '%41',
    '%%32e',
    '%c0%ae',
    '%c3%bc',
    '%e0%80%ae',
    '%e0%a4%a4',
  ],
  ...[
    '%f0%80%80%ae',
    '%f0%9f%98%80',
    '%f8',
    'x%00',
    'x%7f',
    'x\0',
    'x\ty',
    'x\\y',
    '\u0085',
    '\uff0e\uff0e/x',
    'x//y',
    'x?y#z',
  ],
]
export const pathPrefixes = ['/', 'a/', '/a/', '/a/x/', 'f://a/', 'f:///', 'f:/', '/a', '/a/x', 'f://', '/a/../', 'a//']
const paths = fc
  .tuple(fc.constantFrom(...pathPrefixes), fc.constantFrom(...tails))
  .map(([prefix, tail]) => prefix + tail)
const scalars: fc.Arbitrary<string | boolean> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<(string | boolean)[]>(...numbers, ...words, true, false) },
  { weight: 1, arbitrary: paths },
)
const decimals = fc.constantFrom(...numbers)

const constraints: fc.Arbitrary<Constraint> = fc.oneof(
  scalars.map((eq) => ({ eq })),
  fc.uniqueArray(scalars, { minLength: 1, maxLength: 4 }).map((list) => ({ in: list })),
  decimals.map((min) => ({ min })),
  decimals.map((max) => ({ max })),
  fc.constantFrom('1', '1.', 'x', 'xy', '-', 'E', ...pathPrefixes).map((prefix) => ({ prefix })),
  fc.record({ min: decimals, max: decimals }),
  fc.record({ eq: scalars, in: fc.uniqueArray(scalars, { minLength: 1, maxLength: 3 }), max: decimals }),
)
const currencies = fc.constantFrom<Constraint[]>({ eq: 'EUR' }, { in: ['EUR', 'USD'] }, { prefix: 'E' })
const pointers = ['/amount', '/a~1b', '/list/0', '/deep/er'] as const

const plain = [
  'https://h/v1/',
  'https://h/v1/a',
  'https://h/v1/a/b',
  'https://h/v1a',
  'https://h:8443/v1/a',
  'https://h.example/v1/a',
  't',
  'https://h/v1/a@b',
  'https://h/v1/.a',
]
const deceiving = [
  'https://h/v1/../a',
  'https://h/v1/a/..',
  'https://h/v1/...',
  'https://h/v1//a',
  'https://h/v1/%61',
  'https://h/v1/a;b',
  'https://h/v1/a?b',
  'https://h/v1/a#b',
  'https://h/v1/a\\b',
  'https://H/v1/a',
  'HTTPS://h/v1/a',
  'https://u@h/v1/a',
  'https://h/v1/ä',
  'https://h/v1/a b',
]
const prefixes = ['https://h/', 'https://h/v1/', 'https://h/v1/a/', 'https://h:8443/']

const scopes = fc.oneof(
  fc.record({ type: fc.constantFrom('api', 'tool'), id: fc.constantFrom(...plain) }),
  fc.record({ type: fc.constantFrom('api', 'tool'), id_prefix: fc.constantFrom(...prefixes) }),
)
const names = ['GET', 'POST', 'tools/call']

/** A record with any of its members omitted. */
const some = <T>(members: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(members as { [K in keyof T]-?: fc.Arbitrary<T[K]> }, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>

/** Without members that are `undefined`: an authority has none. */
const tidied = <T>(value: object): T =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T
const tidy = (permission: object) => tidied<Permission>(permission)

const permissions: fc.Arbitrary<Permission> = fc
  .tuple(
    fc.record({ actions: fc.uniqueArray(fc.constantFrom(...names), { minLength: 1, maxLength: 3 }), resource: scopes }),
    some<{
      where: Record<string, Constraint>
      arguments: 'closed'
      cost: Permission['cost'] & object
      max_uses: number
    }>({
      where: fc
        .tuple(fc.subarray([...pointers]), fc.array(constraints, { minLength: 4, maxLength: 4 }), fc.option(currencies))
        .map(([chosen, given, currency]) =>
          Object.fromEntries([
            ...chosen.map((pointer, n) => [pointer, given[n] as Constraint] as const),
            ...(currency ? [['/currency', currency] as const] : []),
          ]),
        )
        .filter((where) => Object.keys(where).length > 0),
      arguments: fc.constant('closed' as const),
      cost: fc.constantFrom({ amount: '/amount', currency: '/currency' }, { amount: '/fee', currency: '/currency' }),
      max_uses: fc.integer({ min: 1, max: 4 }),
    }),
  )
  .map(([needed, more]) => ({ ...needed, ...more }))

const amounts = fc.constantFrom('0', '0.000001', '1', '2.00', '2.5', '10', '999999999999999999999.999999')
const budgets = some<Required<Budget>>({
  calls: fc.integer({ min: 0, max: 5 }),
  cost: some<Record<'EUR' | 'USD', string>>({ EUR: amounts, USD: amounts }) as fc.Arbitrary<Record<string, string>>,
  egress_bytes: fc.integer({ min: 0, max: 3 }),
}) as fc.Arbitrary<Budget>

const delegates = fc.option(fc.subarray(['spiffe://d/agent/a', 'spiffe://d/agent/b', 'spiffe://d/agent']), {
  nil: undefined,
  freq: 3,
})

export const authorities: fc.Arbitrary<Authority> = fc
  .record({
    type: fc.constant('bailiwick_task' as const),
    task: fc.constant('t'),
    permissions: fc.array(permissions, { minLength: 1, maxLength: 3 }),
    budget: budgets,
    max_depth: fc.integer({ min: 0, max: 2 }),
    max_children: fc.integer({ min: 0, max: 2 }),
    delegates,
  })
  .map((authority) => tidied<Authority>(authority))

/** A parent changed by edits, of which some narrow, some change nothing and some widen. */
export function childrenOf(parent: Authority): fc.Arbitrary<Authority> {
  const members = ['actions', 'resource', 'where', 'arguments', 'cost', 'max_uses'] as const
  const permission = fc
    .tuple(
      fc.constantFrom(...parent.permissions),
      permissions,
      fc.oneof(fc.constant([]), fc.subarray([...members], { maxLength: 2 })),
      fc.constantFrom('as it is', 'one action', 'one use', 'one bound more', 'closed'),
      constraints,
    )
    .map(([own, other, taken, edit, constraint]): Permission => {
      const changed = { ...own, ...Object.fromEntries(taken.map((member) => [member, other[member]])) } as Permission
      const { actions, where } = changed
      if (edit === 'one action') return tidy({ ...changed, actions: actions.slice(0, 1) })
      if (edit === 'one use') return tidy({ ...changed, max_uses: 1 })
      if (edit === 'closed') return tidy({ ...changed, arguments: 'closed' })
      return tidy(edit === 'one bound more' ? { ...changed, where: { '/amount': constraint, ...where } } : changed)
    })
  return fc
    .record({
      task: fc.oneof({ weight: 20, arbitrary: fc.constant(parent.task) }, fc.constant('other')),
      permissions: fc.array(permission, { minLength: 1, maxLength: 3 }),
      budget: fc.oneof(fc.constant(parent.budget), budgets),
      max_depth: fc.constantFrom(0, parent.max_depth, parent.max_depth + 1),
      max_children: fc.constantFrom(0, parent.max_children),
      delegates: fc.oneof({ weight: 3, arbitrary: fc.constant(parent.delegates) }, delegates),
    })
    .map((changes) => tidied<Authority>({ ...parent, ...changes }))
}

/** One permission with one bound. */
export const bounded = (bound: Constraint): Authority => ({
  type: 'bailiwick_task',
  task: 't',
  permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: 't' }, where: { '/amount': bound } }],
  budget: {},
  max_depth: 0,
  max_children: 0,
})

/** Two authorities that differ in one bound only: no other case shows as often what follows from that bound. */
export const bounds: fc.Arbitrary<[Authority, Authority]> = fc
  .tuple(constraints, constraints)
  .map(([child, parent]) => [bounded(child), bounded(parent)])

const values = fc.oneof(
  scalars as fc.Arbitrary<unknown>,
  fc.constantFrom<unknown[]>(0, -0, 1, 1.5, 2, 2.5, 10, 0.1, 1e-7, 0.000001, -1, 1e21, 2 ** 53, 0.1 + 0.2, 1e15 + 0.5),
  fc.constantFrom<unknown[]>(null, [], {}, ['1'], '1.0000000', '0.0000001', 'EUR', '9'.repeat(38), '9'.repeat(39)),
)

/** A call near an authority: mostly its own names, resources and bounds, or something right next to them. */
export function actionsNear({ permissions: own }: Authority): fc.Arbitrary<Action> {
  const mentioned = own.flatMap(({ where }) =>
    Object.values(where ?? {}).flatMap((constraint) => Object.values(constraint).flat() as unknown[]),
  )
  const below = mentioned.filter((value) => typeof value === 'string' && value.includes('/'))
  const near = fc.oneof(
    values,
    ...(mentioned.length === 0 ? [] : [fc.constantFrom(...mentioned)]),
    ...(below.length === 0
      ? []
      : [fc.tuple(fc.constantFrom(...below), fc.constantFrom(...tails)).map(([path, tail]) => `${path}${tail}`)]),
  )
  const ids = own.map(({ resource: { id, id_prefix } }) => id ?? `${id_prefix}a`)
  return fc
    .record({
      name: fc.constantFrom(...names, ...own.flatMap(({ actions }) => actions)),
      resource: fc.record({
        type: fc.constantFrom('api', ...own.map(({ resource }) => resource.type)),
        id: fc.oneof(fc.constantFrom(...ids), fc.constantFrom(...plain, ...deceiving)),
      }),
      properties: some<Record<string, unknown>>({
        amount: near,
        fee: near,
        currency: fc.constantFrom<unknown[]>('EUR', 'USD', 'eur', 'constructor', 1),
        'a/b': near,
        list: fc.oneof(
          near.map((value) => [value]),
          near,
        ),
        deep: near.map((er) => ({ er })),
        note: fc.constantFrom<unknown[]>('x', null, {}, [], { er: 1 }),
      }),
    })
    .map((action) => action as Action)
}

/** The pointers of constraints and costs. */
const propertyAt: Record<string, (value: unknown) => Record<string, unknown>> = {
  '/amount': (amount) => ({ amount }),
  '/fee': (fee) => ({ fee }),
  '/currency': (currency) => ({ currency }),
  '/a~1b': (value) => ({ 'a/b': value }),
  '/list/0': (value) => ({ list: [value] }),
  '/deep/er': (er) => ({ deep: { er } }),
}

/** A call made to fit one permission of an authority: covered, unless the bounds of a member leave no value for it. */
export function actionsWithin({ permissions: own }: Authority): fc.Arbitrary<Action> {
  return fc.constantFrom(...own).chain(({ actions, resource: { type, id, id_prefix }, where, cost }) => {
    const bounded: Record<string, Constraint> = { ...where }
    if (cost) bounded[cost.amount] ??= { min: '1' }
    if (cost) bounded[cost.currency] ??= { eq: 'EUR' }
    const properties = Object.entries(bounded).map(([pointer, { eq, in: list, min, max, prefix }]) =>
      fc
        .constantFrom<unknown[]>(...[eq ?? list ?? min ?? max ?? prefix].flat())
        .map((value) => propertyAt[pointer]?.(value)),
    )
    return fc.record({
      name: fc.constantFrom(...actions),
      resource: fc.constant({ type, id: id ?? `${id_prefix}a` }),
      properties: fc.tuple(...properties).map((members) => Object.assign({}, ...members) as Action['properties']),
    })
  })
}
