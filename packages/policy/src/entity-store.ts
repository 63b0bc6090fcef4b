import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import { type EntityName, isAction } from './entity-name.ts'
import { invalid } from './invalid-policies.ts'
import type { Policy } from './policy-set.ts'
import { ancestors, keyOf } from './schema-shapes.ts'

/** The stored entities of a set; a request takes those that its evaluation can reach. */
export interface EntityStore {
  all: readonly EntityJson[]
  get(name: EntityName): EntityJson | undefined
  /** All entities of a type, in stored order. */
  ofType(type: string): readonly EntityName[]
  /** Actions of any namespace. */
  actions: readonly EntityName[]
  /** Everything that the entity is in, at any distance, stored or not. */
  ancestors(name: EntityName): readonly EntityName[]
  /**
   * Every stored entity that can be reached from these values, by parents, attributes or tags, and from the entities that policy conditions
   * name. Cedar looks at no others, and parsing entities is most of the cost of a decision. Members of a set cannot be reached: Cedar can
   * ask whether one is in the set, but cannot take it out.
   */
  reachable(from: readonly unknown[]): Map<string, EntityJson>
}

/** `actionsStored`: for sets without a schema. With a schema, Cedar takes actions from it, and accepts them only once. */
export function entityStore(
  entities: readonly EntityJson[],
  policies: Iterable<Policy>,
  actionsStored: boolean,
): EntityStore {
  const named = entities.map((entity) => ({ name: uidOf(entity), entity }))
  const byKey = new Map<string, EntityJson>()
  const byType = Map.groupBy(
    named.map(({ name }) => name),
    ({ type }) => type,
  )
  for (const { name, entity } of named) if (actionsStored || !isAction(name)) byKey.set(keyOf(name), entity)
  const close = (from: readonly unknown[], found: Map<string, EntityJson>) => {
    const left: unknown[] = [...from]
    while (left.length > 0) {
      for (const name of namesOutside(left.pop())) {
        const entity = byKey.get(keyOf(name))
        if (entity === undefined || found.has(keyOf(name))) continue
        found.set(keyOf(name), entity)
        left.push(...entity.parents, entity.attrs, entity.tags)
      }
    }
    return found
  }
  const always = close(namesIn(Array.from(policies, ({ json }) => json.conditions)), new Map())
  return {
    all: [...byKey.values()],
    get: (name) => byKey.get(keyOf(name)),
    ofType: (type) => byType.get(type) ?? [],
    actions: named.map(({ name }) => name).filter(isAction),
    ancestors: (name) => ancestors(name, (of) => namesIn(byKey.get(keyOf(of))?.parents)),
    reachable: (from) => close(from, new Map(always)),
  }
}

/** Throws `config_invalid` for a text that gives two names: Cedar would take one, and a reader the other. */
function uidOf({ uid }: EntityJson): EntityName {
  const [name, ...more] = namesIn(uid)
  if (name === undefined || more.length > 0)
    throw invalid('entities.json', 'an entity whose uid is not one type and id')
  return name
}

/** Everything in here that may be an entity's name: a record that merely looks like one only adds an unneeded entity. */
export const namesIn = (value: unknown): EntityName[] => namesOf(value, true)

/** The same, without members of sets. */
const namesOutside = (value: unknown): EntityName[] => namesOf(value, false)

function namesOf(value: unknown, withSets: boolean): EntityName[] {
  if (typeof value !== 'object' || value === null || (!withSets && Array.isArray(value))) return []
  const inside = Object.values(value).flatMap((each) => namesOf(each, withSets))
  const { type, id } = value as Partial<Record<'type' | 'id', unknown>>
  return typeof type === 'string' && typeof id === 'string' ? [{ type, id }, ...inside] : inside
}
