import { invalid } from './invalid-policies.ts'
import type { Shape, Shapes } from './schema-shapes.ts'

/** The history in the shape of a context. */
export const historyIn = (context: Shape | undefined): Shape | undefined => membersOf(context).get('history')

/**
 * Throws `config_invalid` for a schema that requires history members that do not exist, or do not always exist: each call would be refused,
 * without a visible reason.
 */
export function requireKnownHistory(shapes: Shapes): void {
  const wrong = (at: string, why: string) => invalid(`context.history.${at}`, why)
  for (const { id } of shapes.actions)
    for (const [whose, of] of membersOf(historyIn(shapes.context({ type: 'Action', id })))) {
      if (whose !== 'task' && whose !== 'agent' && whose !== 'owner')
        throw wrong(whose, 'there is task, agent and owner')
      for (const [name, member] of membersOf(of)) {
        if (!isFact(name, member)) throw wrong(`${whose}.${name}`, 'not a fact of the history, or not of this type')
        if (whose === 'owner' && name === 'denials')
          throw wrong('owner.denials', 'denials are counted by task and by agent')
        if (name === 'last' && member.kind === 'Record' && member.optional.size < member.members.size)
          throw wrong(`${whose}.last`, 'each must be optional: what was never touched has no last time')
      }
    }
}

const membersOf = (shape: Shape | undefined) => (shape?.kind === 'Record' ? shape.members : new Map<string, Shape>())
const is = (kind: Shape['kind']) => (shape: Shape) => shape.kind === kind
const isDecimal = (shape: Shape) => shape.kind === 'Extension' && shape.construct === 'decimal'
const recordOf = (each: (shape: Shape) => boolean) => (shape: Shape) =>
  shape.kind === 'Record' && [...shape.members.values()].every(each)

const factTypes: Record<string, (shape: Shape) => boolean> = {
  labels: (shape) => shape.kind === 'Set' && shape.element.kind === 'String',
  calls: is('Long'),
  denials: is('Long'),
  depth: is('Long'),
  count: recordOf(is('Long')),
  last: recordOf(is('Long')),
  spent: recordOf((shape) => isDecimal(shape) || recordOf(isDecimal)(shape)),
}
const isFact = (name: string, member: Shape) => Object.hasOwn(factTypes, name) && factTypes[name]?.(member) === true
