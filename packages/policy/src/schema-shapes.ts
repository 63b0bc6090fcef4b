import type { ApplySpec, SchemaJson } from '@cedar-policy/cedar-wasm/nodejs'
import { schemaToJsonWithResolvedTypes } from './cedar.ts'
import type { EntityName } from './entity-name.ts'
import { invalid } from './invalid-policies.ts'

/** A type of a Cedar schema, with all names resolved. */
export type Shape =
  | { kind: 'Long' | 'String' | 'Bool' }
  /** `construct`: the function that makes such a value from a string. */
  | { kind: 'Extension'; type: string; construct: string }
  | { kind: 'Entity'; type: string }
  | { kind: 'Set'; element: Shape }
  /** `optional`: the members that may be absent. */
  | { kind: 'Record'; members: ReadonlyMap<string, Shape>; optional: ReadonlySet<string> }

/** The declarations of a schema. Asserted members that it does not declare are dropped. */
export interface Shapes {
  /** Cedar's JSON form, with all names resolved. */
  json: SchemaJson<string>
  actions: readonly EntityName[]
  /** The groups that an action is in, at any distance. */
  groups(action: EntityName): readonly EntityName[]
  hasType(type: string): boolean
  /** An entity type's attributes; empty for an undeclared type. */
  attributes(type: string): Shape
  /** The type of an entity type's tags; undefined: it has none. */
  tags(type: string): Shape | undefined
  /** An action's context; empty for an undeclared action. */
  context(action: EntityName): Shape
  /** The types of principals and resources with which an action may be asked; undefined: none. */
  appliesTo(action: EntityName): Pick<ApplySpec<string>, 'principalTypes' | 'resourceTypes'> | undefined
}

/** Constructors of extension values by their type. */
const constructors: Readonly<Record<string, string>> = {
  ipaddr: 'ip',
  decimal: 'decimal',
  datetime: 'datetime',
  duration: 'duration',
}

/** A type in Cedar's JSON form, of any kind: Cedar itself made it from the text, in this process. */
export interface TypeJson {
  type: string
  name?: string
  required?: boolean
  element?: TypeJson
  attributes?: Readonly<Record<string, TypeJson>>
}

const nothing: Shape = { kind: 'Record', members: new Map(), optional: new Set() }

/** The shapes of Cedar's schema text. Throws `config_invalid` for an unknown type: a value that cannot be typed is not accepted. */
export function shapesOf(schema: string): Shapes {
  const answer = schemaToJsonWithResolvedTypes(schema)
  if (answer.type === 'failure')
    throw invalid('schema.cedarschema', answer.errors.map(({ message }) => message).join('; '))
  const namespaces = answer.json
  const common = new Map<string, TypeJson>()
  for (const [space, { commonTypes }] of Object.entries(namespaces))
    for (const [name, type] of Object.entries(commonTypes ?? {})) common.set(within(space, name), type)
  const shape = shaper(common)
  const attributes = new Map<string, Shape>()
  const tags = new Map<string, Shape>()
  const contexts = new Map<string, Shape>()
  const applies = new Map<string, ApplySpec<string>>()
  const actions: EntityName[] = []
  const parents = new Map<string, EntityName[]>()
  for (const [space, { entityTypes, actions: declared }] of Object.entries(namespaces)) {
    for (const [name, entity] of Object.entries(entityTypes)) {
      attributes.set(within(space, name), 'shape' in entity && entity.shape ? shape(entity.shape) : nothing)
      if ('tags' in entity && entity.tags) tags.set(within(space, name), shape(entity.tags))
    }
    for (const [id, { appliesTo, memberOf }] of Object.entries(declared)) {
      const action = { type: within(space, 'Action'), id }
      actions.push(action)
      parents.set(
        keyOf(action),
        (memberOf ?? []).map(({ type = 'Action', id: group }) => ({ type, id: group })),
      )
      if (appliesTo !== undefined) applies.set(keyOf(action), appliesTo)
      if (appliesTo?.context !== undefined) contexts.set(keyOf(action), shape(appliesTo.context))
    }
  }
  return {
    json: answer.json,
    actions,
    groups: (action) => ancestors(action, (name) => parents.get(keyOf(name)) ?? []),
    hasType: (type) => attributes.has(type),
    attributes: (type) => attributes.get(type) ?? nothing,
    tags: (type) => tags.get(type),
    context: (action) => contexts.get(keyOf(action)) ?? nothing,
    appliesTo: (action) => applies.get(keyOf(action)),
  }
}

/** All ancestors, each once. */
export function ancestors(name: EntityName, parentsOf: (name: EntityName) => readonly EntityName[]): EntityName[] {
  const found = new Map<string, EntityName>()
  const left = [...parentsOf(name)]
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (found.has(keyOf(next))) continue
    found.set(keyOf(next), next)
    left.push(...parentsOf(next))
  }
  return [...found.values()]
}

/** Unambiguous, because a type's name contains no space. */
export const keyOf = ({ type, id }: EntityName): string => `${type} ${id}`

/** A name as written outside its namespace. */
export const within = (space: string, name: string) => (space === '' ? name : `${space}::${name}`)

function shaper(common: ReadonlyMap<string, TypeJson>): (type: TypeJson) => Shape {
  const shape = ({ type, name, element, attributes }: TypeJson): Shape => {
    // A common type may have the name of a built-in type; `__cedar::` then names the built-in one.
    const named = common.get(type)
    if (named) return shape(named)
    const kind = type.replace('__cedar::', '')
    if (kind === 'Long' || kind === 'String' || kind === 'Bool') return { kind }
    if (kind === 'Set' && element) return { kind, element: shape(element) }
    if (kind === 'Entity' && name !== undefined) return { kind, type: name }
    if (kind === 'Record') {
      const entries = Object.entries(attributes ?? {})
      const optional = entries.filter(([, { required }]) => required === false).map(([key]) => key)
      return { kind, members: new Map(entries.map(([key, of]) => [key, shape(of)])), optional: new Set(optional) }
    }
    const construct = Object.hasOwn(constructors, kind) ? constructors[kind] : undefined
    if (construct === undefined) throw invalid('schema.cedarschema', `a type that is not known here: ${type}`)
    return { kind: 'Extension', type: kind, construct }
  }
  return shape
}
