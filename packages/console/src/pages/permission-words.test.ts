import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Permission, permissionWords } from './permission-words.ts'

const read: Permission = { actions: ['tools/call'], resource: { type: 'tool', id: 'invoices/read' } }
const pay: Permission = {
  actions: ['tools/call'],
  resource: { type: 'tool', id: 'invoices/adjust' },
  where: { '/amount': { max: '500' }, '/currency': { eq: 'EUR' } },
  cost: { amount: '/amount', currency: '/currency' },
  arguments: 'closed',
  max_uses: 10,
}

it.each<[string, Permission]>([
  ['Call invoices/read any number of times, with any arguments', read],
  ['Call invoices/read once, without arguments', { ...read, max_uses: 1, arguments: 'closed' }],
  ['Call invoices/adjust up to 10 times, at most 500 EUR each, and no other arguments', pay],
  ['Call invoices/adjust once, at most 500 EUR, and no other arguments', { ...pay, max_uses: 1 }],
  [
    'Call invoices/adjust up to 10 times, from 0 to 2,000.50 EUR or CHF each, only where final is true, and any other arguments',
    {
      ...pay,
      arguments: undefined,
      where: { '/amount': { min: '0', max: '2000.50' }, '/currency': { in: ['EUR', 'CHF'] }, '/final': { eq: true } },
    } as never,
  ],
  [
    'Call invoices/adjust up to 10 times, any amount that the budget holds, in any currency of the budget each (arguments price and unit), and no other arguments',
    { ...pay, where: undefined, cost: { amount: '/price', currency: '/unit' } } as never,
  ],
  [
    'Do GET or HEAD on any api below https://erp.example/v1/ up to 1,000 times, with any arguments',
    { actions: ['GET', 'HEAD'], resource: { type: 'api', id_prefix: 'https://erp.example/v1/' }, max_uses: 1000 },
  ],
  [
    'Call files/write any number of times, only where path is inside /srv/reports/, mode is one of "a", "w", to.country starts with "DE" and size is at least 1, and any other arguments',
    {
      actions: ['tools/call'],
      resource: { type: 'tool', id: 'files/write' },
      where: {
        '/path': { prefix: '/srv/reports/' },
        '/mode': { in: ['a', 'w'] },
        '/to/country': { prefix: 'DE' },
        '/size': { min: '1' },
      },
    },
  ],
])('says: %s', (words, permission) => {
  expect(permissionWords(JSON.parse(JSON.stringify(permission)))).toBe(words)
})

it('says of one exact action that it happens once', () => {
  expect(permissionWords(read, { once: true })).toBe('Call invoices/read once, with any arguments')
})

const where = (constraint: object, pointer = '/x') => ({ ...read, where: { [pointer]: constraint } }) as Permission
it.each<[string, Permission]>([
  ['letters that can be taken for others', where({ eq: 'p\u0430y' })],
  ['an unseen character', where({ prefix: 'a\u200b' })],
  ['two comparisons of different kinds', where({ in: ['a', 'b'], prefix: 'a' })],
  ['a comparison that this page does not know', where({ matches: 'a' })],
  ['an argument whose name is a sentence', where({ eq: 'a' }, '/x is "b", and y')],
  ['an argument whose name holds a dot', where({ eq: 'a' }, '/a.b')],
  ['a currency that is no code', { ...pay, where: { '/currency': { prefix: 'E' } } }],
  ['an amount that must be one of some', { ...pay, where: { '/amount': { in: ['1', '2'] } } }],
  ['a member that this page does not know', { ...read, until: 'noon' } as Permission],
  ['a cost with a member that this page does not know', { ...pay, cost: { ...pay.cost, tax: '/t' } } as Permission],
])('has no words for %s, so that the exact form is shown', (_, permission) => {
  expect(permissionWords(permission)).toBeUndefined()
})

// Any permission of the authority language: each kind of constraint alone and with others, texts that imitate our words.
const texts = fc.oneof(
  fc.constantFrom(
    'EUR',
    'CHF',
    'a',
    'a"b',
    '/srv/a/',
    '/srv/',
    'p\u0430y',
    'x, and no other arguments',
    '1',
    'true',
    '',
  ),
  fc.string({ maxLength: 8 }),
)
const decimals = fc.constantFrom('-1', '0', '1', '1.0', '500', '5000', '500000.25')
const scalars = fc.oneof(texts, fc.boolean())
const some = <T>(record: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(record, { requiredKeys: [] })
const constraints = some({
  eq: scalars,
  in: fc.array(scalars, { minLength: 1, maxLength: 3 }),
  min: decimals,
  max: decimals,
  prefix: texts.filter((text) => text !== ''),
}).filter((each) => Object.keys(each).length > 0)
const pointers = fc.constantFrom('/amount', '/currency', '/price', '/a/b', '/a.b', '/a b', '/a~1b', '/x is "1"')
const permissions = fc
  .tuple(
    fc.record({
      actions: fc.uniqueArray(fc.constantFrom('tools/call', 'GET', 'PUT', 'GET or PUT'), {
        minLength: 1,
        maxLength: 3,
      }),
      resource: fc.oneof(
        fc.record({ type: fc.constantFrom('tool', 'api'), id: fc.constantFrom('a', 'a/b', 'x,once', 'https://h/a') }),
        fc.record({ type: fc.constantFrom('tool', 'api'), id_prefix: fc.constantFrom('https://h/', 'https://h/a/') }),
      ),
    }),
    some({
      where: fc.dictionary(pointers, constraints, { minKeys: 1, maxKeys: 3 }),
      arguments: fc.constant('closed' as const),
      cost: fc.record({ amount: fc.constantFrom('/amount', '/price'), currency: fc.constantFrom('/currency', '/a/b') }),
      max_uses: fc.constantFrom(1, 2, 1000),
    }),
  )
  .map(([must, may]) => ({ ...must, ...may }) as Permission)

/** The meaning of a permission, independent of its spelling: `in` with one value is `eq`, and order does not matter. */
function meaning(permission: Permission): unknown {
  const { where, actions, ...rest } = permission
  const bounds = Object.entries(where ?? {}).map(([pointer, { in: values, ...others }]) => [
    pointer,
    values?.length === 1 ? { eq: values[0], ...others } : { ...others, in: values },
  ])
  return { ...rest, actions, where: Object.fromEntries(bounds) }
}

it('never says less than the exact form: what allows something else has other words, or none', () => {
  let withWords = 0
  fc.assert(
    fc.property(permissions, permissions, (one, other) => {
      for (const [a, b] of variants(one, other)) {
        const words = permissionWords(a)
        if (words !== undefined) withWords++
        if (words === undefined || words !== permissionWords(b)) continue
        expect(meaning(b)).toEqual(meaning(a))
      }
    }),
    { numRuns: 2000 },
  )
  expect(withWords).toBeGreaterThan(200)
})

/** A permission beside each that differs from it in one place, as `other` has that place. */
function* variants(one: Permission, other: Permission): Generator<[Permission, Permission]> {
  yield [one, other]
  for (const member of ['actions', 'resource', 'where', 'arguments', 'cost', 'max_uses'] as const) {
    const { [member]: _, ...without } = one
    if (member !== 'actions' && member !== 'resource') yield [one, without as Permission]
    if (other[member] !== undefined) yield [one, { ...without, [member]: other[member] } as Permission]
  }
  for (const [pointer, constraint] of Object.entries(one.where ?? {})) {
    for (const [kind, value] of Object.entries(Object.values(other.where ?? {})[0] ?? {}))
      yield [one, { ...one, where: { ...one.where, [pointer]: { ...constraint, [kind]: value } } }]
    for (const kind of Object.keys(constraint)) {
      const rest = Object.fromEntries(Object.entries(constraint).filter(([each]) => each !== kind))
      if (Object.keys(rest).length > 0) yield [one, { ...one, where: { ...one.where, [pointer]: rest } }]
    }
  }
}

it('has words, or none and so its exact form, for each kind of constraint', () => {
  fc.assert(
    fc.property(constraints, (constraint) => {
      const words = permissionWords(where(constraint))
      if (words === undefined) return
      const { eq, in: values = [], min, max, prefix } = constraint
      for (const value of [eq, ...values, prefix])
        if (value !== undefined) expect(words).toContain(prefix?.endsWith('/') ? prefix : JSON.stringify(value))
      for (const value of [min, max]) if (value !== undefined) expect(words.replaceAll(',', '')).toContain(value)
    }),
  )
  for (const constraint of [{ eq: 'q' }, { in: ['q'] }, { prefix: 'q' }, { min: '77' }, { max: '77' }])
    expect(permissionWords(where(constraint))).toMatch(/"q"|77/)
})
