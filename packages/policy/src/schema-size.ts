import { schemaToJsonWithResolvedTypes } from './cedar.ts'
import { type TypeJson, within } from './schema-shapes.ts'

/** Of the names of all members. */
const mostCharacters = 200_000

/**
 * Throws for a type that is too large with its common types written out. Cedar writes them out, and a few lines of common types that each
 * name the next one twice become gigabytes.
 */
export function requireSmallTypes(schema: string): void {
  const answer = schemaToJsonWithResolvedTypes(schema)
  // A schema that has no such form is refused where its types are needed.
  if (answer.type === 'failure') return
  const common = new Map<string, TypeJson>()
  const others: (TypeJson | undefined)[] = []
  for (const [space, { commonTypes, entityTypes, actions }] of Object.entries(answer.json)) {
    for (const [name, type] of Object.entries(commonTypes ?? {})) common.set(within(space, name), type)
    for (const entity of Object.values(entityTypes)) {
      if ('shape' in entity) others.push(entity.shape)
      if ('tags' in entity) others.push(entity.tags)
    }
    for (const { appliesTo } of Object.values(actions)) others.push(appliesTo?.context)
  }
  const known = new Map<TypeJson, number>()
  const sizeOf = (type: TypeJson): number => {
    const before = known.get(type)
    if (before !== undefined) return before
    // For common types in a circle, which Cedar refuses afterwards.
    known.set(type, 0)
    const size = measured(type)
    known.set(type, size)
    return size
  }
  const measured = ({ type, element, attributes }: TypeJson): number => {
    const named = common.get(type)
    if (named) return sizeOf(named)
    const members = Object.entries(attributes ?? {}).map(([name, of]) => name.length + sizeOf(of))
    return 1 + (element ? sizeOf(element) : 0) + members.reduce((sum, each) => sum + each, 0)
  }
  for (const type of [...common.values(), ...others])
    if (type !== undefined && sizeOf(type) > mostCharacters)
      throw new Error('a type is too large with its common types written out')
}
