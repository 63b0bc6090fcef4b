import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import { entitiesOf } from '../ask-cedar.ts'
import type { EntityName } from '../entity-name.ts'
import type { PolicyRequest } from '../policy-engine.ts'
import type { Policy } from '../policy-set.ts'
import { keyOf, type Shape, type Shapes } from '../schema-shapes.ts'
import { type CompiledPolicy, compilePolicy, isInScope } from './compiled-policy.ts'
import { type EntityReader, ReadEntities, typedEntities, untypedEntities } from './entities.ts'
import { PolicyIndex } from './policy-index.ts'
import { type ReadAll, readAnything, TypedReaders } from './readers.ts'
import { erred, type Situation } from './situation.ts'
import { CedarRecord, type Entity } from './values.ts'

/** Cedar's answer: the policies that decided, and those that erred, each sorted by id. */
export interface Verdict {
  decision: 'allow' | 'deny'
  reason: string[]
  erred: string[]
}

/**
 * Why Cedar must answer. `policy`: one that may apply is not compiled. `request`: Cedar might refuse it, or read it otherwise. `stored`: the
 * same of the entities of the set. `failed`: a fault of this engine.
 */
export type NotAnswered = 'policy' | 'request' | 'stored' | 'failed'

export interface CompileOptions {
  /** undefined: nothing is typed. */
  shapes: Shapes | undefined
  /** An action's context, if requests are asked with a part of what the schema declares. */
  contextOf?(action: EntityName): Shape
  /** Entities that are there in each request. A request names only those that are different in it, with the parents stored here. */
  stored?: readonly EntityJson[]
}

interface RequestReader {
  entities: EntityReader
  /** undefined: the schema does not let this action be asked with these types. */
  context(action: Entity, principal: Entity, resource: Entity): ReadAll | undefined
}

/** A set as closures. It answers a request exactly as Cedar does, or not at all. */
export class CompiledPolicies {
  /** Why a policy is not compiled, by its id. */
  readonly notCompiled: ReadonlyMap<string, string>
  readonly #index: PolicyIndex
  readonly #reader: RequestReader
  /** Whether the stored entities can be read with certainty. Otherwise Cedar must answer all requests. */
  readonly readsStored: boolean
  readonly #stored: ReadEntities | undefined

  constructor(policies: Iterable<Policy>, { shapes, contextOf, stored }: CompileOptions) {
    const compiled = Array.from(policies, compilePolicy)
    this.notCompiled = new Map(compiled.flatMap(({ id, holds }) => (typeof holds === 'string' ? [[id, holds]] : [])))
    this.#index = new PolicyIndex(compiled)
    this.#reader = shapes === undefined ? untyped : typed(shapes, contextOf ?? shapes.context)
    this.#stored = stored && ReadEntities.read(stored, this.#reader.entities)
    this.readsStored = stored === undefined || this.#stored !== undefined
  }

  /** Pure, and throws nothing. */
  answer(request: PolicyRequest): Verdict | NotAnswered {
    try {
      if (!this.readsStored) return 'stored'
      const situation = this.#situation(request)
      return situation === undefined ? 'request' : verdict(this.#index.candidates(situation), situation)
    } catch {
      // Exhausted, as by a stack that is too small: it has decided nothing.
      return 'failed'
    }
  }

  #situation(request: PolicyRequest): Situation | undefined {
    const { name } = this.#reader.entities
    const action = name(
      typeof request.action === 'string' ? { type: 'Action', id: request.action } : uidOf(request.action),
    )
    const [principal, resource] = [name(uidOf(request.principal)), name(uidOf(request.resource))]
    if (action === undefined || principal === undefined || resource === undefined) return undefined
    const members = this.#reader.context(action, principal, resource)?.(request.context)
    const entities = members && ReadEntities.read(entitiesOf(request), this.#reader.entities, this.#stored)
    if (members === undefined || entities === undefined) return undefined
    return { principal, action, resource, context: new CedarRecord(members), entity: entities.entity }
  }
}

const uidOf = ({ type, id }: EntityName): EntityName => ({ type, id })

const untyped: RequestReader = { entities: untypedEntities, context: () => readAnything }

function typed(shapes: Shapes, contextOf: (action: EntityName) => Shape): RequestReader {
  const readers = new TypedReaders(shapes)
  const declared = new Map(
    shapes.actions.map((action) => {
      const { principalTypes = [], resourceTypes = [] } = shapes.appliesTo(action) ?? {}
      return [keyOf(action), { principals: new Set(principalTypes), resources: new Set(resourceTypes) }]
    }),
  )
  const contexts = new Map<string, ReadAll>()
  return {
    entities: typedEntities(shapes, readers),
    context(action, principal, resource) {
      const may = declared.get(action.key)
      if (!may?.principals.has(principal.type) || !may.resources.has(resource.type)) return undefined
      const context = contexts.get(action.key) ?? readers.members(contextOf(action))
      contexts.set(action.key, context)
      return context
    },
  }
}

function verdict(candidates: readonly CompiledPolicy[], situation: Situation): Verdict | 'policy' {
  const [permits, forbids, failing]: [string[], string[], string[]] = [[], [], []]
  for (const policy of candidates) {
    if (!isInScope(policy, situation)) continue
    if (typeof policy.holds === 'string') return 'policy'
    try {
      if (policy.holds(situation)) (policy.effect === 'permit' ? permits : forbids).push(policy.id)
    } catch (error) {
      if (error !== erred) throw error
      failing.push(policy.id)
    }
  }
  const isAllowed = forbids.length === 0 && permits.length > 0
  const reason = isAllowed ? permits : forbids
  return { decision: isAllowed ? 'allow' : 'deny', reason: reason.sort(), erred: failing.sort(inCedarsOrder) }
}

/** As `findingsOf` sorts errors, by id and then by message: an id that begins another one may come after it. */
const inCedarsOrder = (a: string, b: string) => (`${a}\n` < `${b}\n` ? -1 : 1)
