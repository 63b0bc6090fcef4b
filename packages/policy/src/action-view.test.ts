import { expect, it } from 'vitest'
import { actionView, seenBy } from './action-view.ts'
import { shapesOf } from './schema-shapes.ts'

const shapes = shapesOf(`
namespace Pay {
  entity Person, Invoice;
  action any;
  action pay in [any] appliesTo { principal: Person, resource: Invoice, context: {
    note?: String, history: { task: { calls: Long, labels: Set<String>, count: { secret: Long, public: Long } }, agent: { calls: Long } },
  } };
  action read appliesTo { principal: Person, resource: Invoice, context: { why: String } };
}`)
const pay = { type: 'Pay::Action', id: 'pay' }
const reading =
  (...members: string[]) =>
  (at: readonly string[]) =>
    members.some((member) => member === at.join('.') || member.startsWith(`${at.join('.')}.`))

const context = {
  note: 'n',
  history: { task: { calls: 3, labels: ['secret'], count: { secret: 1, public: 2 } }, agent: { calls: 9 } },
}

it('leaves of the history what is read, and all else of the context', () => {
  const view = actionView(shapes, pay, reading('history.task.count.secret'))
  expect(seenBy(view, context)).toEqual({ note: 'n', history: { task: { count: { secret: 1 } } } })
  const { Pay } = view.schema
  expect(Pay?.actions.pay?.appliesTo?.context).toEqual({
    type: 'Record',
    attributes: {
      note: { type: 'String', required: false },
      history: {
        type: 'Record',
        required: true,
        attributes: {
          task: {
            type: 'Record',
            required: true,
            attributes: {
              count: { type: 'Record', required: true, attributes: { secret: { type: 'Long', required: true } } },
            },
          },
        },
      },
    },
  })
})

it('keeps the whole history for whom everything is read, and an empty one for whom nothing is', () => {
  expect(
    seenBy(
      actionView(shapes, pay, () => true),
      context,
    ),
  ).toEqual(context)
  expect(
    seenBy(
      actionView(shapes, pay, () => false),
      context,
    ),
  ).toEqual({ note: 'n', history: {} })
})

it('leaves the other actions in their groups, applying to nothing', () => {
  const { schema } = actionView(shapes, pay, () => true)
  const nothing = { principalTypes: [], resourceTypes: [] }
  expect(schema.Pay?.actions.read?.appliesTo).toEqual(nothing)
  expect(schema.Pay?.actions.any?.appliesTo).toEqual(nothing)
  expect(schema.Pay?.actions.pay?.memberOf).toEqual(shapes.json.Pay?.actions.pay?.memberOf)
  expect(schema.Pay?.entityTypes).toEqual(shapes.json.Pay?.entityTypes)
})

it('spells every type that a schema has as Cedar does', () => {
  const every = shapesOf(`
    entity A;
    action a appliesTo { principal: A, resource: A, context: {
      flag: Bool, text: String, who: A, at?: datetime, many: Set<Set<A>>, history: { task: { calls: Long } },
    } };`)
  const view = actionView(every, { type: 'Action', id: 'a' }, () => true)
  expect(view.schema['']?.actions.a?.appliesTo?.context).toEqual({
    type: 'Record',
    attributes: {
      flag: { type: 'Boolean', required: true },
      text: { type: 'String', required: true },
      who: { type: 'Entity', name: 'A', required: true },
      at: { type: 'Extension', name: 'datetime', required: false },
      many: { type: 'Set', element: { type: 'Set', element: { type: 'Entity', name: 'A' } }, required: true },
      history: {
        type: 'Record',
        required: true,
        attributes: {
          task: { type: 'Record', required: true, attributes: { calls: { type: 'Long', required: true } } },
        },
      },
    },
  })
})

it.each([null, 'x', 5, [1], undefined])('leaves a history that is none to Cedar, which refuses it: %j', (history) => {
  for (const members of [history, { task: history }]) {
    const said = { note: 'n', history: members }
    expect(
      seenBy(
        actionView(shapes, pay, () => true),
        said,
      ),
    ).toEqual(said)
  }
})

it('hands on a context without a history as it is', () => {
  const read = actionView(shapes, { type: 'Pay::Action', id: 'read' }, () => false)
  expect(seenBy(read, { why: 'w', history: 1 })).toEqual({ why: 'w', history: 1 })
  expect(
    seenBy(
      actionView(shapes, pay, () => false),
      { note: 'n' },
    ),
  ).toEqual({ note: 'n' })
  expect(
    seenBy(
      actionView(shapes, pay, () => true),
      { history: [1] },
    ),
  ).toEqual({ history: [1] })
})
