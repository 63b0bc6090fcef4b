import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import { type EntityName, isAction } from './entity-name.ts'
import { invalid } from './invalid-policies.ts'
import type { Policy } from './policy-set.ts'
import { ancestors, keyOf } from './schema-shapes.ts'

/** The stored entities of a set, of which a request takes those that its evaluation can reach. */
export interface EntityStore {
  get(name: EntityName): EntityJson | undefined
  /** All of a type, in the order in which they are stored. */
  ofType(type: string): readonly EntityName[]
  /** Actions, of any namespace. */
  actions: readonly EntityName[]
  /** What it is in, at any distance, stored or not. */
  ancestors(name: EntityName): readonly EntityName[]
  /**
   * Every stored entity that can be reached from these values, by parents, attributes or tags, and from what conditions of
   * policies name. Cedar looks at no other, and parsing entities is most of what a decision costs. What is in a set cannot be reached:
   * Cedar asks whether it is there, and has no way to take it out.
   */
  reachable(from: readonly unknown[]): Map<string, EntityJson>
}

/** `actionsStored`: without a schema; with one, Cedar knows them from there, and takes them once. */
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
    get: (name) => byKey.get(keyOf(name)),
    ofType: (type) => byType.get(type) ?? [],
    actions: named.map(({ name }) => name).filter(isAction),
    ancestors: (name) => ancestors(name, (of) => namesIn(byKey.get(keyOf(of))?.parents)),
    reachable: (from) => close(from, new Map(always)),
  }
}

/** Throws `config_invalid` for what says two names: Cedar would take the one, and a reader the other. */
function uidOf({ uid }: EntityJson): EntityName {
  const [name, ...more] = namesIn(uid)
  if (name === undefined || more.length > 0)
    throw invalid('entities.json', 'an entity whose uid is not one type and id')
  return name
}

/** Whatever may be an entity's name in here: a record that merely looks like one costs an entity too many. */
export const namesIn = (value: unknown): EntityName[] => namesOf(value, true)

/** The same, but for what is in sets. */
const namesOutside = (value: unknown): EntityName[] => namesOf(value, false)

function namesOf(value: unknown, withSets: boolean): EntityName[] {
  if (typeof value !== 'object' || value === null || (!withSets && Array.isArray(value))) return []
  const inside = Object.values(value).flatMap((each) => namesOf(each, withSets))
  const { type, id } = value as Partial<Record<'type' | 'id', unknown>>
  return typeof type === 'string' && typeof id === 'string' ? [{ type, id }, ...inside] : inside
}
