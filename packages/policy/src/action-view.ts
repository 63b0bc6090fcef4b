import type { ActionType, AttributesOrContext, SchemaJson, Type } from '@cedar-policy/cedar-wasm/nodejs'
import type { EntityName } from './entity-name.ts'
import { keyOf, type Shape, type Shapes, within } from './schema-shapes.ts'

/** What of a schema is needed to ask about one action. */
export interface ActionView {
  schema: SchemaJson<string>
  /** The context, of whose `history` nothing is left that no policy looks at. */
  context: Shape
}

/** Whether anybody may look at this member of the context, named from the outside in. */
export type Reads = (member: readonly string[]) => boolean
const history = 'history'

/**
 * The schema with no action but this one and the groups that it is in, and with that context. Cedar takes a copy of the schema for each
 * question and reads the context by it: both are as small as they can be, and what is left is checked as by the whole.
 */
export function actionView({ json, context: contextOf, groups }: Shapes, action: EntityName, reads: Reads): ActionView {
  const context = withHistoryRead(contextOf(action), reads)
  const above = new Set(groups(action).map(keyOf))
  const spaces = Object.entries(json).map(([space, { actions, ...types }]) => {
    const left = Object.entries(actions).flatMap(([id, declared]): [string, ActionType<string>][] => {
      const key = keyOf({ type: within(space, 'Action'), id })
      if (key === keyOf(action)) return [[id, withContext(declared, context)]]
      return above.has(key) ? [[id, declared]] : []
    })
    return [space, { ...types, actions: Object.fromEntries(left) }]
  })
  return { schema: Object.fromEntries(spaces), context }
}

function withContext(action: ActionType<string>, context: Shape): ActionType<string> {
  const { appliesTo } = action
  return appliesTo === undefined
    ? action
    : { ...action, appliesTo: { ...appliesTo, context: typeOf(context) as AttributesOrContext<string> } }
}

function withHistoryRead(context: Shape, reads: Reads): Shape {
  const whole = context.kind === 'Record' ? context.members.get(history) : undefined
  if (context.kind !== 'Record' || whole === undefined) return context
  return { ...context, members: new Map([...context.members, [history, readOf(whole, [history], reads)]]) }
}

function readOf(shape: Shape, at: readonly string[], reads: Reads): Shape {
  if (shape.kind !== 'Record') return shape
  const read = [...shape.members].filter(([name]) => reads([...at, name]))
  return { ...shape, members: new Map(read.map(([name, of]) => [name, readOf(of, [...at, name], reads)])) }
}

/** A shape in Cedar's JSON form of schemas. */
function typeOf(shape: Shape): Type<string> {
  switch (shape.kind) {
    case 'Long':
    case 'String':
      return { type: shape.kind }
    case 'Bool':
      return { type: 'Boolean' }
    case 'Extension':
      return { type: 'Extension', name: shape.type }
    case 'Entity':
      return { type: 'Entity', name: shape.type }
    case 'Set':
      return { type: 'Set', element: typeOf(shape.element) }
    case 'Record': {
      const attributes = [...shape.members].map(
        ([name, of]) => [name, { ...typeOf(of), required: !shape.optional.has(name) }] as const,
      )
      return { type: 'Record', attributes: Object.fromEntries(attributes) }
    }
  }
}

/** A context without the members of its history that the view does not have. */
export function seenBy({ context: shape }: ActionView, context: Record<string, unknown>): Record<string, unknown> {
  const seen = shape.kind === 'Record' ? shape.members.get(history) : undefined
  return seen === undefined || !Object.hasOwn(context, history)
    ? context
    : { ...context, [history]: cut(context[history], seen) }
}

function cut(value: unknown, shape: Shape): unknown {
  if (shape.kind !== 'Record' || typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const left = Object.entries(value).flatMap(([name, member]): [string, unknown][] => {
    const of = shape.members.get(name)
    return of === undefined ? [] : [[name, cut(member, of)]]
  })
  return Object.fromEntries(left)
}
