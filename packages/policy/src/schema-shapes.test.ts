import { expect, it } from 'vitest'
import { ancestors, keyOf, shapesOf, within } from './schema-shapes.ts'

const shapes = shapesOf(`
type Money = { amount: decimal, currency: String };
entity Person;
namespace Pay {
  type ipaddr = { digits: String };
  entity Team;
  entity Invoice in [Team] {
    owner: Person, money: Money, due?: datetime, from: Set<__cedar::ipaddr>, odd: ipaddr, count: __cedar::Long, paid: Bool, within?: duration,
  };
  action any;
  action write in [any];
  action pay in [write, any] appliesTo { principal: Person, resource: Invoice, context: { note?: String } };
}`)

const pay = { type: 'Pay::Action', id: 'pay' }

it('resolves names across namespaces, and a common type before the one of Cedar that has its name', () => {
  expect(shapes.attributes('Pay::Invoice')).toEqual({
    kind: 'Record',
    members: new Map(
      Object.entries({
        owner: { kind: 'Entity', type: 'Person' },
        money: {
          kind: 'Record',
          members: new Map(
            Object.entries({
              amount: { kind: 'Extension', type: 'decimal', construct: 'decimal' },
              currency: { kind: 'String' },
            }),
          ),
          optional: new Set(),
        },
        due: { kind: 'Extension', type: 'datetime', construct: 'datetime' },
        from: { kind: 'Set', element: { kind: 'Extension', type: 'ipaddr', construct: 'ip' } },
        odd: { kind: 'Record', members: new Map([['digits', { kind: 'String' }]]), optional: new Set() },
        count: { kind: 'Long' },
        paid: { kind: 'Bool' },
        within: { kind: 'Extension', type: 'duration', construct: 'duration' },
      }),
    ),
    optional: new Set(['due', 'within']),
  })
})

it('has for what is not declared no type, no attributes and no context', () => {
  const nothing = { kind: 'Record', members: new Map(), optional: new Set() }
  expect([shapes.hasType('Pay::Team'), shapes.hasType('Person')]).toEqual([true, true])
  expect([shapes.hasType('Team'), shapes.hasType('Pay::Money')]).toEqual([false, false])
  expect([shapes.attributes('Pay::Team'), shapes.attributes('Team')]).toEqual([nothing, nothing])
  expect([shapes.context({ type: 'Pay::Action', id: 'any' }), shapes.context({ type: 'Action', id: 'pay' })]).toEqual([
    nothing,
    nothing,
  ])
  expect(shapes.context(pay)).toEqual({
    kind: 'Record',
    members: new Map([['note', { kind: 'String' }]]),
    optional: new Set(['note']),
  })
})

it('knows the actions and the groups that each is in, each once, at any distance', () => {
  expect(shapes.actions.map(keyOf).sort()).toEqual(['Pay::Action any', 'Pay::Action pay', 'Pay::Action write'])
  expect(
    shapes
      .groups(pay)
      .map(({ id }) => id)
      .sort(),
  ).toEqual(['any', 'write'])
  expect(shapes.groups({ type: 'Pay::Action', id: 'none' })).toEqual([])
})

it('ends where parents go in a circle', () => {
  const next: Record<string, string> = { a: 'b', b: 'c', c: 'a' }
  const above = ancestors({ type: 'T', id: 'a' }, ({ id }) => [{ type: 'T', id: next[id] ?? '' }])
  expect(above.map(({ id }) => id).sort()).toEqual(['a', 'b', 'c'])
})

it('says names from outside a namespace', () => {
  expect([within('', 'A'), within('N::M', 'A')]).toEqual(['A', 'N::M::A'])
})

it('takes no schema that Cedar does not (V13)', () => {
  expect(() => shapesOf('entity A { b: Unknown };')).toThrow(
    expect.objectContaining({
      code: 'config_invalid',
      detail: expect.stringMatching(/schema\.cedarschema: .*Unknown/),
    }),
  )
})
