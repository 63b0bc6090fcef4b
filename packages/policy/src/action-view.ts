import type { ApplySpec, AttributesOrContext, SchemaJson, Type } from '@cedar-policy/cedar-wasm/nodejs'
import type { EntityName } from './entity-name.ts'
import { keyOf, type Shape, type Shapes, within } from './schema-shapes.ts'

/** The part of a schema that is needed to ask about one action. */
export interface ActionView {
  schema: SchemaJson<string>
  /** The context, with only those members of `history` that some policy reads. */
  context: Shape
}

/** Whether any policy may read this member of the context; the path begins with the outermost name. */
export type Reads = (member: readonly string[]) => boolean
const history = 'history'

/**
 * Reduces the schema to this action's context, and that context to what policies read. Cedar copies the schema for each question and parses
 * the context by it: both are as small as possible, and the remaining members are checked as by the whole schema. The other actions stay
 * but apply to nothing, because a condition may ask which group one of them is in.
 */
export function actionView(shapes: Shapes, action: EntityName, reads: Reads): ActionView {
  const { json } = shapes
  const context = contextSeen(shapes, action, reads)
  const spaces = Object.entries(json).map(([space, { actions, ...types }]) => {
    const viewed = Object.entries(actions).map(([id, declared]) => {
      const isAsked = keyOf({ type: within(space, 'Action'), id }) === keyOf(action)
      return [id, { ...declared, appliesTo: isAsked ? withContext(declared.appliesTo, context) : toNothing }]
    })
    return [space, { ...types, actions: Object.fromEntries(viewed) }]
  })
  return { schema: Object.fromEntries(spaces), context }
}

/** The reduced context alone. */
export const contextSeen = ({ context }: Shapes, action: EntityName, reads: Reads): Shape =>
  withHistoryRead(context(action), reads)

const toNothing: ApplySpec<string> = { principalTypes: [], resourceTypes: [] }

function withContext(appliesTo: ApplySpec<string> = toNothing, context: Shape): ApplySpec<string> {
  return { ...appliesTo, context: typeOf(context) as AttributesOrContext<string> }
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

/** A shape in the JSON form of Cedar's schemas. */
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

/** A context without the members of its history that the view lacks. */
export function seenBy(
  { context: shape }: Pick<ActionView, 'context'>,
  context: Record<string, unknown>,
): Record<string, unknown> {
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
