import fc from 'fast-check'
import type { Action } from './covers.ts'
import type { Authority, Budget, Constraint, Permission } from './schema.ts'

/**
 * For tests only: a world small enough to try everything in it. Every value is here because another one is close to it: another spelling,
 * another type, a neighbour in the path.
 */
const amounts = [
  undefined,
  1,
  2,
  0.5,
  -1,
  1e21,
  '1',
  '1.0',
  '2',
  '10',
  '-1',
  '1e0',
  '',
  'x',
  'xy',
  'x/',
  'x/y',
  'x/../y',
  '0.0000001',
  true,
  null,
  [1],
]
const currencies = [undefined, 'EUR', 'USD', 'eur', 1]
const ids = [
  'https://h/v1/',
  'https://h/v1/a',
  'https://h/v1/a/b',
  'https://h/v1/a/../b',
  'https://h/v1a',
  'https://h/v1/%61',
  't',
]
const resources = [
  ...ids.map((id) => ({ type: 'api', id })),
  { type: 'tool', id: 't' },
  { type: 'tool', id: 'https://h/v1/a' },
]
const names = ['GET', 'POST']

/** All actions of the universe. */
export const everyAction: readonly Action[] = names
  .flatMap((name) =>
    resources.flatMap((resource) =>
      amounts.flatMap((amount) =>
        currencies.map((currency) => ({
          name,
          resource,
          properties: { ...(amount === undefined ? {} : { amount }), ...(currency === undefined ? {} : { currency }) },
        })),
      ),
    ),
  )
  .concat(
    // With one additional argument, which no permission bounds.
    names.flatMap((name) =>
      resources.flatMap((resource) =>
        [1, '2'].map((amount) => ({ name, resource, properties: { amount, currency: 'EUR', note: 'x' } })),
      ),
    ),
  )

/** A record in which any member may be missing. */
function someOf<T extends object>(members: { [K in keyof T]-?: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> {
  return fc.record(members, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>
}

const scalars = fc.constantFrom<(string | boolean)[]>(
  '1',
  '1.0',
  '2',
  '10',
  '-1',
  'x',
  'xy',
  '1e0',
  true,
  'x/y',
  'x/../y',
)
const comparisons = {
  eq: scalars,
  in: fc.uniqueArray(scalars, { minLength: 1, maxLength: 4 }),
  min: fc.constantFrom('-1', '0', '0.5', '1', '2'),
  max: fc.constantFrom('1', '1.00', '2', '10'),
  prefix: fc.constantFrom('1', '1.', 'x', 'xy', '-', 'x/', 'x/.'),
}
// Several comparisons at once mostly admit nothing, and a world in which nothing is covered proves nothing.
const amountConstraints: fc.Arbitrary<Constraint> = fc.oneof(
  { weight: 3, arbitrary: fc.oneof(...Object.entries(comparisons).map(([op, bound]) => fc.record({ [op]: bound }))) },
  { weight: 1, arbitrary: fc.record({ min: comparisons.min, max: comparisons.max }) },
  {
    weight: 1,
    arbitrary: someOf<Required<Constraint>>(comparisons).map((constraint) =>
      Object.keys(constraint).length === 0 ? { max: '2' } : constraint,
    ),
  },
)
const currencyConstraints = fc.constantFrom<Constraint[]>(
  { eq: 'EUR' },
  { in: ['EUR', 'USD'] },
  { in: ['EUR'] },
  { prefix: 'E' },
  { prefix: 'E', in: ['EUR', 'eur'] },
)
const wheres = someOf<Record<'/amount' | '/currency', Constraint>>({
  '/amount': amountConstraints,
  '/currency': currencyConstraints,
})
const scopes = fc.oneof(
  fc.constantFrom(...resources.filter(({ id }) => !/%|\.\./.test(id))),
  fc.constantFrom('https://h/', 'https://h/v1/', 'https://h/v1/a/').map((id_prefix) => ({ type: 'api', id_prefix })),
)
const costs = fc.oneof(
  { weight: 6, arbitrary: fc.constant(undefined) },
  { weight: 3, arbitrary: fc.constant({ amount: '/amount', currency: '/currency' }) },
  { weight: 1, arbitrary: fc.constant({ amount: '/fee', currency: '/currency' }) },
)

/** Any permission of the universe. */
const permissions: fc.Arbitrary<Permission> = fc
  .record({
    actions: fc.uniqueArray(fc.constantFrom(...names), { minLength: 1, maxLength: 2 }),
    resource: scopes,
    where: wheres,
    arguments: fc.constantFrom(undefined, undefined, 'closed' as const),
    cost: costs,
    max_uses: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined, freq: 2 }),
  })
  .map(({ actions, resource, where, arguments: closed, cost, max_uses }) => ({
    actions,
    resource,
    ...(Object.keys(where).length === 0 ? {} : { where: where as Record<string, Constraint> }),
    ...(closed === undefined ? {} : { arguments: closed }),
    ...(cost === undefined ? {} : { cost }),
    ...(max_uses === undefined ? {} : { max_uses }),
  }))

const budgets: fc.Arbitrary<Budget> = fc
  .record({
    calls: fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined, freq: 2 }),
    cost: fc.option(
      someOf<Record<'EUR' | 'USD', string>>({
        EUR: fc.constantFrom('0', '1', '2.00', '2.5', '10'),
        USD: fc.constantFrom('1', '3'),
      }),
      { nil: undefined, freq: 4 },
    ),
    egress_bytes: fc.option(fc.integer({ min: 0, max: 2 }), { nil: undefined }),
  })
  .map(({ calls, cost, egress_bytes }) => ({
    ...(calls === undefined ? {} : { calls }),
    ...(cost === undefined ? {} : { cost: cost as Record<string, string> }),
    ...(egress_bytes === undefined ? {} : { egress_bytes }),
  }))

const delegates = fc.option(fc.subarray(['spiffe://d/agent/a', 'spiffe://d/agent/b', 'spiffe://d/agent']), {
  nil: undefined,
  freq: 2,
})

/** Any authority of the universe. */
export const authorities: fc.Arbitrary<Authority> = fc
  .record({
    type: fc.constant('bailiwick_task' as const),
    task: fc.constant('t'),
    permissions: fc.array(permissions, { minLength: 1, maxLength: 3 }),
    budget: budgets,
    max_depth: fc.integer({ min: 0, max: 2 }),
    max_children: fc.integer({ min: 0, max: 2 }),
  })
  .chain((authority) =>
    delegates.map((listed) => ({ ...authority, ...(listed === undefined ? {} : { delegates: listed }) })),
  )

/** Authorities derived from `parent` by edits of which some narrow, some change nothing and some widen, so that both answers are common. */
export function relatives(parent: Authority): fc.Arbitrary<Authority> {
  const edited = fc
    .tuple(
      fc.constantFrom(...parent.permissions),
      permissions,
      fc.uniqueArray(fc.constantFrom('actions', 'resource', 'where', 'arguments', 'cost', 'max_uses'), {
        maxLength: 2,
      }),
    )
    .map(([own, other, members]) => {
      const taken = Object.entries(other).filter(([member]) => (members as string[]).includes(member))
      return { ...own, ...Object.fromEntries(taken) } as Permission
    })
  return fc
    .record({
      permissions: fc.array(edited, { minLength: 1, maxLength: 3 }),
      budget: fc.oneof(fc.constant(parent.budget), budgets),
      max_depth: fc.constantFrom(0, parent.max_depth),
      max_children: fc.constantFrom(0, parent.max_children),
      delegates: fc.oneof({ weight: 2, arbitrary: fc.constant(parent.delegates) }, delegates),
    })
    .map(({ delegates: listed, ...members }) => {
      const { delegates: _, ...rest } = parent
      return { ...rest, ...members, ...(listed === undefined ? {} : { delegates: listed }) }
    })
}

/** Authorities derived from `parent` by edits that can only narrow it. */
export function narrowed(parent: Authority): fc.Arbitrary<Authority> {
  return fc
    .tuple(
      fc.subarray(parent.permissions, { minLength: 1 }),
      fc.array(
        fc.record({
          onlyFirst: fc.boolean(),
          fewerUses: fc.boolean(),
          closed: fc.boolean(),
          currency: fc.option(currencyConstraints),
        }),
        { minLength: 3, maxLength: 3 },
      ),
      fc.boolean(),
    )
    .map(([kept, edits, tighter]) => ({
      ...parent,
      permissions: kept.map((permission, index): Permission => {
        const edit = edits[index]
        const where = permission.where ?? {}
        const isNamed = permission.arguments === undefined || permission.cost !== undefined
        const bounded = edit?.currency && where['/currency'] === undefined && isNamed
        return {
          ...permission,
          ...(edit?.onlyFirst ? { actions: permission.actions.slice(0, 1) } : {}),
          ...(edit?.fewerUses ? { max_uses: 1 } : {}),
          ...(edit?.closed ? { arguments: 'closed' as const } : {}),
          ...(bounded ? { where: { ...where, '/currency': edit.currency as Constraint } } : {}),
        }
      }),
      budget: tighter ? { ...parent.budget, calls: 0, egress_bytes: 0 } : parent.budget,
      max_depth: tighter ? 0 : parent.max_depth,
      ...(parent.delegates === undefined ? {} : { delegates: parent.delegates.slice(tighter ? 1 : 0) }),
    }))
}
