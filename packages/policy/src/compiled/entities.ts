import { isAction } from '../entity-name.ts'
import { keyOf, type Shapes, within } from '../schema-shapes.ts'
import { type ReadAll, type ReadName, readAnyName, readAnything, TypedReaders } from './readers.ts'
import type { EntityData } from './situation.ts'
import type { Entity, Value } from './values.ts'

const none: ReadonlyMap<string, Value> = new Map()

/** What may be said about an entity of one type. */
interface TypeReader {
  attributes: ReadAll
  tags: ReadAll
  /** Whether it may be in an entity of this type, at any distance. */
  mayBeIn(type: string): boolean
}

/** Reads the entities of requests. */
export interface EntityReader {
  name: ReadName
  /** undefined: an entity of this type may not be given. */
  type(type: string): TypeReader | undefined
  /** The entities that are there in every request: the actions of a schema. */
  always: ReadonlyMap<string, EntityData>
}

/** Without a schema. */
export const untypedEntities: EntityReader = {
  name: readAnyName,
  // Actions may be in actions alone.
  type: (type) => ({
    attributes: readAnything,
    tags: readAnything,
    mayBeIn: (group) => !isAction({ type }) || isAction({ type: group }),
  }),
  always: new Map(),
}

export function typedEntities(shapes: Shapes, readers = new TypedReaders(shapes)): EntityReader {
  const types = new Map<string, TypeReader>()
  const parents = new Map<string, readonly string[]>()
  for (const [space, { entityTypes }] of Object.entries(shapes.json))
    for (const [name, declared] of Object.entries(entityTypes))
      parents.set(within(space, name), ('memberOfTypes' in declared ? declared.memberOfTypes : undefined) ?? [])
  for (const type of parents.keys()) {
    const [tags, groups] = [shapes.tags(type), closed(type, parents)]
    types.set(type, {
      attributes: readers.members(shapes.attributes(type)),
      tags: tags === undefined ? () => undefined : readers.tags(tags),
      mayBeIn: (group) => groups.has(group),
    })
  }
  const always = shapes.actions.map((action): [string, EntityData] => [
    keyOf(action),
    { attributes: none, tags: none, ancestors: new Set(shapes.groups(action).map(keyOf)) },
  ])
  return { name: readers.name, type: (type) => types.get(type), always: new Map(always) }
}

function closed(type: string, parents: ReadonlyMap<string, readonly string[]>): Set<string> {
  const found = new Set<string>()
  const left = [type]
  for (let next = left.pop(); next !== undefined; next = left.pop())
    for (const parent of parents.get(next) ?? [])
      if (!found.has(parent)) {
        found.add(parent)
        left.push(parent)
      }
  return found
}

/** An entity as it is given, with the keys of its parents. */
interface Given {
  attributes: ReadonlyMap<string, Value>
  tags: ReadonlyMap<string, Value>
  parents: readonly string[]
}

const known: ReadonlySet<string> = new Set(['uid', 'attrs', 'parents', 'tags'])

/** The entities of one request, or those that a set stores for all requests. */
export class ReadEntities {
  readonly #given: ReadonlyMap<string, Given>
  readonly #always: ReadonlyMap<string, EntityData>
  readonly #stored: ReadEntities | undefined
  readonly #data = new Map<string, EntityData>()

  private constructor(
    given: ReadonlyMap<string, Given>,
    always: ReadonlyMap<string, EntityData>,
    stored: ReadEntities | undefined,
  ) {
    this.#given = given
    this.#always = always
    this.#stored = stored
  }

  /**
   * undefined: it is not certain that Cedar takes these entities. `stored`: those that are there besides; an entity that is among them too
   * takes the place of the stored one, and must have its parents.
   */
  static read(entities: readonly unknown[], reader: EntityReader, stored?: ReadEntities): ReadEntities | undefined {
    const given = new Map<string, Given>()
    for (const json of entities) {
      const name = reader.name((json as { uid?: unknown } | null)?.uid)
      const read = name && givenAs(json, name, reader)
      // Cedar takes an entity twice if both are equal.
      if (!name || !read || given.has(name.key)) return undefined
      if (stored !== undefined && !stored.#hasParents(name.key, read.parents)) return undefined
      given.set(name.key, read)
    }
    // What keeps the parents that are stored is in no cycle, as nothing stored is.
    if (stored === undefined && isCyclic(given)) return undefined
    return new ReadEntities(given, reader.always, stored)
  }

  #hasParents(key: string, parents: readonly string[]): boolean {
    const stored = this.#given.get(key)?.parents ?? []
    return parents.length === stored.length && parents.every((parent, n) => parent === stored[n])
  }

  readonly entity = (key: string): EntityData | undefined => {
    const data = this.#data.get(key) ?? this.#always.get(key)
    if (data !== undefined) return data
    const given = this.#given.get(key)
    if (given === undefined) return this.#stored?.entity(key)
    const { attributes, tags } = given
    const made = { attributes, tags, ancestors: this.#ancestors(key, given) }
    this.#data.set(key, made)
    return made
  }

  #ancestors(key: string, { parents }: Given): ReadonlySet<string> {
    if (parents.length === 0) return noKeys
    const stored = this.#stored?.entity(key)
    if (stored !== undefined) return stored.ancestors
    const found = new Set(parents)
    // A set iterates over what is added meanwhile.
    for (const key of found) for (const parent of this.#given.get(key)?.parents ?? []) found.add(parent)
    return found
  }
}

const noKeys: ReadonlySet<string> = new Set()

function givenAs(json: unknown, name: Entity, reader: EntityReader): Given | undefined {
  const type = reader.type(name.type)
  const entity = json as Record<string, unknown>
  if (type === undefined || !Object.keys(entity).every((member) => known.has(member))) return undefined
  const attributes = type.attributes(entity.attrs)
  const tags = entity.tags === undefined ? none : type.tags(entity.tags)
  if (attributes === undefined || tags === undefined || !Array.isArray(entity.parents)) return undefined
  const parents: string[] = []
  for (const each of entity.parents) {
    const parent = reader.name(each)
    if (parent === undefined || !type.mayBeIn(parent.type)) return undefined
    parents.push(parent.key)
  }
  return { attributes, tags, parents }
}

/** In time linear in the number of parents, however long the chains are: takes away entities that nothing left is in. */
function isCyclic(given: ReadonlyMap<string, Given>): boolean {
  const children = new Map<string, number>()
  for (const { parents } of given.values())
    for (const parent of parents) children.set(parent, (children.get(parent) ?? 0) + 1)
  if (children.size === 0) return false
  const free = Array.from(given.keys()).filter((key) => !children.has(key))
  let left = given.size
  for (let key = free.pop(); key !== undefined; key = free.pop()) {
    left--
    for (const parent of given.get(key)?.parents ?? []) {
      const rest = (children.get(parent) ?? 0) - 1
      children.set(parent, rest)
      if (rest === 0 && given.has(parent)) free.push(parent)
    }
  }
  return left > 0
}
