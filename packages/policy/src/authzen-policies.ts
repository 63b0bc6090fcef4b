import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import { at, TypeMismatch, typed, untyped } from './asserted-values.ts'
import type { Mapping } from './authzen-mapping.ts'
import { CedarPolicies, type Options } from './cedar-policies.ts'
import type { EngineWatch } from './compiled/engine-watch.ts'
import { type EntityName, isAction } from './entity-name.ts'
import { type EntityStore, entityStore, namesIn } from './entity-store.ts'
import type { PolicyAnswer, PolicyRequest, Purpose } from './policy-engine.ts'
import { type Duties, dutiesOf } from './policy-obligations.ts'
import type { PolicySet } from './policy-set.ts'
import { keyOf, type Shape, type Shapes, shapesOf, within } from './schema-shapes.ts'

type Json = Readonly<Record<string, unknown>>

/** A well-formed AuthZEN evaluation (Authorization API 1.0 §6.1); integers beyond 53 bits are bigint. */
export interface PlainRequest {
  subject: EntityName & { properties?: Json }
  action: { name: string; properties?: Json }
  resource: EntityName & { properties?: Json }
  context?: Json
}

/** §8.4 to §8.6: the entity that is searched for has no id. */
export type PlainSearch =
  | ({ entity: 'subject'; subject: Omit<PlainRequest['subject'], 'id'> } & Omit<PlainRequest, 'subject'>)
  | ({ entity: 'resource'; resource: Omit<PlainRequest['resource'], 'id'> } & Omit<PlainRequest, 'resource'>)
  | ({ entity: 'action' } & Omit<PlainRequest, 'action'>)

/** A request for Cedar, with all entities that policies can reach. */
type CedarRequest = PolicyRequest & { action: EntityName }

/** A request as the schema reads it. */
interface Asked {
  request: Omit<CedarRequest, 'entities'>
  /** The asserted attributes. */
  own: object
  /** The entities that it adds to the stored ones, or that replace one, by key. */
  added: ReadonlyMap<string, EntityJson>
}

/** Ids; for actions, their names. */
export interface Candidates {
  ids: readonly string[]
  evaluation(id: string): PlainRequest
}

/** A name under which the wasm keeps a set until another set replaces it: the wasm frees nothing in any other way. */
export class PolicySlot {
  readonly name: string
  holder: AuthZenPolicies | undefined

  constructor(name: string) {
    this.name = name
  }
}

/** Answers AuthZEN requests from a policy set alone, by the mapping of docs/how-to/plain-pdp.md. */
export class AuthZenPolicies {
  readonly hash: string
  /** The options with which an engine asks about the same set. */
  readonly options: Options
  readonly #mapping: Mapping
  readonly #shapes: Shapes | undefined
  readonly #store: EntityStore
  readonly #actions: readonly EntityName[]
  /** The entities that the schema lists, by type (`enum`). */
  readonly #listed: ReadonlyMap<string, readonly EntityName[]>
  readonly #slot: PolicySlot
  readonly #policies: CedarPolicies
  readonly #obliging: PolicySet['policies']

  /**
   * Puts the set into the slot; the set that was there denies from then on. Throws `config_invalid` before that. With `watch`, compiled
   * policies answer what they can.
   */
  constructor(set: PolicySet, slot: PolicySlot, watch?: EngineWatch) {
    this.hash = set.hash
    this.#mapping = set.mapping
    this.#shapes = set.schema === undefined ? undefined : shapesOf(set.schema)
    this.#store = entityStore(set.entities, set.policies.values(), set.schema === undefined)
    this.#actions = this.#shapes?.actions ?? actionsOf(set, this.#store)
    this.#listed = Map.groupBy(enumerated(this.#shapes), ({ type }) => type)
    this.#slot = slot
    slot.holder = undefined
    const { ancestors } = this.#store
    this.options = { shapes: this.#shapes, groupsOf: this.#shapes?.groups ?? ancestors, ancestorsOf: ancestors }
    this.#policies = new CedarPolicies(set, slot.name, { ...this.options, watch, stored: this.#store.all })
    slot.holder = this
    this.#obliging = set.policies
  }

  /** Pure. Throws only `request_malformed`, for a member that only Cedar may use. */
  evaluate(request: PlainRequest, purpose?: Purpose): PolicyAnswer {
    const asked = orUndefined(() => this.#readAll(request))
    // If the slot now holds another set, its policies must not be applied to these entities.
    const isHere = () => this.#slot.holder === this
    if (asked === undefined || !isHere()) return { outcome: 'invalid' }
    const whole = () => (isHere() ? this.#complete(asked) : undefined)
    return this.#policies.evaluate({ ...asked.request, entities: [...asked.added.values()] }, purpose, whole)
  }

  /** The obligations of the policies that decided. */
  dutiesOf(policies: readonly string[]): Duties {
    return dutiesOf(this.#obliging, policies)
  }

  /**
   * The candidates of a search, and the evaluation that decides about each: stored entities, entities that a schema lists, and known
   * actions.
   */
  candidates(search: PlainSearch): Candidates {
    switch (search.entity) {
      case 'subject': {
        const ids = this.#idsOf(search.subject.type)
        return { ids, evaluation: (id) => ({ ...search, subject: { ...search.subject, id } }) }
      }
      case 'resource': {
        const ids = this.#idsOf(search.resource.type)
        return { ids, evaluation: (id) => ({ ...search, resource: { ...search.resource, id } }) }
      }
      case 'action': {
        const names = new Set([...this.#mapping.actions.keys(), ...this.#actions.map(({ id }) => id)])
        return { ids: [...names], evaluation: (name) => ({ ...search, action: { name } }) }
      }
    }
  }

  #idsOf(type: string): string[] {
    const asked = this.#typeOf(type)
    const names = [...this.#store.ofType(asked), ...(this.#listed.get(asked) ?? [])]
    return [...new Set(names.map(({ id }) => id))]
  }

  /**
   * The request for Cedar. undefined: it contradicts the schema, or names no action. Throws `request_malformed` for a member that only
   * Cedar may use.
   */
  cedarRequest(request: PlainRequest): CedarRequest | undefined {
    const asked = orUndefined(() => this.#readAll(request))
    return asked && this.#complete(asked)
  }

  /** Why Cedar is not asked if `cedarRequest` returns undefined. */
  whyNotAsked(request: PlainRequest): string {
    try {
      this.#readAll(request)
    } catch (error) {
      if (error instanceof TypeMismatch) return `${error.path.join('.')}: ${error.message}`
      throw error
    }
    return ''
  }

  /** Throws `TypeMismatch`, and the errors of `cedarRequest`. */
  #readAll({ subject, action, resource, context }: PlainRequest): Asked {
    const called = at('action', () => at('name', () => this.#actionOf(action.name)))
    const principal = { type: this.#typeOf(subject.type), id: subject.id }
    const on = { type: this.#typeOf(resource.type), id: resource.id }
    const { asserted, actionProperties } = this.#mapping
    const said = { ...context, ...(action.properties ? { [actionProperties]: action.properties } : {}) }
    const around = at('context', () => this.#read(said, this.#shapes?.context(called)))
    const attributes = (of: EntityName, { properties }: PlainRequest['subject'], mayAssert: boolean) =>
      at('properties', () => this.#attributes(of, mayAssert ? properties : undefined))
    const own = {
      subject: at('subject', () => attributes(principal, subject, asserted.subject)),
      resource: at('resource', () => attributes(on, resource, asserted.resource)),
    }
    const added = new Map<string, EntityJson>()
    if (keyOf(principal) === keyOf(on)) {
      const both = at('subject', () => at('properties', () => joined(own.subject, own.resource)))
      this.#add(added, on, both)
    } else {
      this.#add(added, principal, own.subject)
      this.#add(added, on, own.resource)
    }
    return { request: { principal, action: called, resource: on, context: around }, own, added }
  }

  /** With all entities that policies can reach. */
  #complete({ request, own, added }: Asked): CedarRequest {
    const { principal, action, resource, context } = request
    const entities = this.#store.reachable([principal, action, resource, context, own])
    for (const [key, entity] of added) entities.set(key, entity)
    return { ...request, entities: [...entities.values()] }
  }

  /** `Action::"name"`, otherwise the only action with that id in any namespace. Throws `TypeMismatch` if there are several. */
  #actionOf(name: string): EntityName {
    const mapped = this.#mapping.actions.get(name)
    if (mapped) return mapped
    const named = this.#actions.filter(({ id }) => id === name)
    const plain = { type: 'Action', id: name }
    if (named.length === 0 || named.some(({ type }) => type === 'Action')) return plain
    const [only, ...others] = named
    if (only === undefined || others.length > 0) throw new TypeMismatch('several actions have this id')
    return only
  }

  #typeOf = (type: string): string => this.#mapping.types.get(type) ?? type

  #attributes({ type }: EntityName, properties: Json | undefined): Record<string, unknown> {
    return this.#read(properties ?? {}, this.#shapes?.attributes(type))
  }

  #read(value: Json, shape: Shape | undefined): Record<string, unknown> {
    const read = shape === undefined ? untyped(value) : typed(value, shape, this.#typeOf)
    return read as Record<string, unknown>
  }

  /** Stored entities win, as a whole; parents cannot be asserted; if no asserted member is left, no entity is added. */
  #add(entities: Map<string, EntityJson>, name: EntityName, asserted: Record<string, unknown>): void {
    const stored = this.#store.get(name)
    const left = Object.entries(asserted).filter(([attribute]) => !Object.hasOwn(stored?.attrs ?? {}, attribute))
    if (left.length === 0) return
    const attrs = { ...Object.fromEntries(left), ...stored?.attrs } as EntityJson['attrs']
    entities.set(keyOf(name), { uid: name, parents: [], ...stored, attrs })
  }
}

/** undefined: the request contradicts the schema. */
function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof TypeMismatch) return undefined
    throw error
  }
}

/** The properties of one entity that was sent twice, as subject and as resource. An attribute with two different values is an error. */
function joined(subject: Record<string, unknown>, resource: Record<string, unknown>): Record<string, unknown> {
  for (const [name, value] of Object.entries(resource))
    at(name, () => {
      if (Object.hasOwn(subject, name) && spelled(subject[name]) !== spelled(value))
        throw new TypeMismatch('not what the resource, the same entity, has')
    })
  return { ...subject, ...resource }
}

/** Equal text for what Cedar considers one value: neither sets nor records have an order. */
function spelled(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${[...new Set(value.map(spelled))].sort().join()}]`
  const members = Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}:${spelled(member)}`)
  return `{${members.sort().join()}}`
}

/** Without a schema, the actions that the entities and the policies name. */
function actionsOf({ policies }: PolicySet, store: EntityStore): EntityName[] {
  const named = [...store.actions, ...namesIn(Array.from(policies.values(), ({ json }) => json)).filter(isAction)]
  return [...new Map(named.map((name) => [keyOf(name), { type: name.type, id: name.id }])).values()]
}

/** The entities of the types that admit no others. */
function enumerated(shapes: Shapes | undefined): EntityName[] {
  return Object.entries(shapes?.json ?? {}).flatMap(([space, { entityTypes }]) =>
    Object.entries(entityTypes).flatMap(([name, declared]) =>
      'enum' in declared ? declared.enum.map((id) => ({ type: within(space, name), id })) : [],
    ),
  )
}
