import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import { actionView, contextSeen, type Reads, seenBy } from './action-view.ts'
import { askCedar, type CedarAnswer, judge } from './ask-cedar.ts'
import { preparseSchema } from './cedar.ts'
import { CompiledAnswers } from './compiled/compiled-answers.ts'
import type { EngineWatch } from './compiled/engine-watch.ts'
import type { EntityName } from './entity-name.ts'
import type { PolicyAnswer, PolicyRequest, Purpose } from './policy-engine.ts'
import type { PolicySet } from './policy-set.ts'
import { PolicySlices, type SliceOptions } from './policy-slices.ts'
import { RememberedAnswers } from './remembered-answers.ts'
import { keyOf, type Shape, type Shapes, within } from './schema-shapes.ts'

export interface Options extends SliceOptions {
  /** The shapes of the set's schema; without a schema, nothing is typed or validated. */
  shapes: Shapes | undefined
  /** The members of the context that policies may read; default: everything. Other members of its `history` are neither needed nor read. */
  reads?: Reads
  /** Whether an engine must be ready before its first request. */
  eager?: boolean
  /** If given, compiled policies answer what they can, and Cedar the rest. */
  watch?: EngineWatch | undefined
  /** Entities that are there in each request. With `watch`, a request then names only those that are different in it. */
  stored?: readonly EntityJson[]
}

interface View {
  /** The visible part of the action's context. */
  context: Shape
  /** The name under which the wasm keeps its schema; undefined: the schema of the whole set. */
  name?: string
}

/** Combinations of action and types to preheat: a set may declare too many to wait for all. */
const mostPreheated = 64

/** Asks Cedar about one set, with the fewest policies and the smallest schema that give the same answer. */
export class CedarPolicies {
  readonly #name: string
  readonly #shapes: Shapes | undefined
  readonly #slices: PolicySlices
  readonly #reads: Reads
  readonly #remembered = new RememberedAnswers()
  readonly #compiled: CompiledAnswers | undefined
  readonly #declared: ReadonlySet<string>
  /** Views of declared actions, each made when it is first needed. */
  readonly #views = new Map<string, View>()

  /** `name`: as for `PolicySlices`. */
  constructor(set: Pick<PolicySet, 'hash' | 'schema' | 'policies'>, name: string, options: Options) {
    this.#name = name
    this.#shapes = options.shapes
    this.#reads = options.reads ?? (() => true)
    this.#slices = new PolicySlices(set, name, options)
    this.#compiled = this.#compile(set, options)
    this.#declared = new Set(options.shapes?.actions.map(keyOf))
  }

  /** The part of an action's context that it needs: what the schema declares; of `history`, what some policy reads. */
  context(action: EntityName): Shape | undefined {
    return this.#viewOf(action)?.context ?? this.#shapes?.context(action)
  }

  /**
   * `whole`: the request with all entities that policies can reach, if it names only those that are not stored; undefined: Cedar can no
   * longer be asked.
   */
  evaluate(
    request: PolicyRequest,
    purpose: Purpose = 'decision',
    whole: () => PolicyRequest | undefined = () => request,
  ): PolicyAnswer {
    // The compiled engine takes less time than the name of a remembered answer.
    const cedar = () => {
      const asked = whole()
      return asked && judge(this.say(asked))
    }
    const compiled = this.#compiled?.answer(this.#seen(request), purpose, cedar)
    if (compiled !== undefined) return compiled
    const complete = whole()
    if (complete === undefined) return { outcome: 'invalid' }
    const asked = this.#seen(complete)
    return this.#remembered.answer(asked, () => judge(this.#ask(asked)), purpose)
  }

  /** Cedar's own answer, independent of earlier answers. */
  say(request: PolicyRequest): CedarAnswer {
    return this.#ask(this.#seen(request))
  }

  #compile(set: Pick<PolicySet, 'hash' | 'policies'>, { shapes, watch, stored }: Options): CompiledAnswers | undefined {
    if (watch === undefined) return undefined
    const contextOf = shapes && ((action: EntityName) => this.#viewOf(action)?.context ?? shapes.context(action))
    return new CompiledAnswers(set, { shapes, ...(contextOf && { contextOf }), ...(stored && { stored }) }, watch)
  }

  #seen(request: PolicyRequest): PolicyRequest {
    const view = this.#viewOf(actionOf(request))
    return view?.name === undefined ? request : { ...request, context: seenBy(view, request.context) }
  }

  #ask(seen: PolicyRequest): CedarAnswer {
    const action = actionOf(seen)
    const names = this.#slices.of(seen.principal, action, seen.resource)
    const schema = this.#viewOf(action)?.name
    return askCedar(schema === undefined ? names : { ...names, schema }, seen)
  }

  /** Prepares what requests of declared actions and types need, so that the first of them does not wait. */
  preheat(): void {
    let left = mostPreheated
    for (const [space, { actions }] of Object.entries(this.#shapes?.json ?? {}))
      for (const [id, { appliesTo }] of Object.entries(actions)) {
        const action = { type: within(space, 'Action'), id }
        for (const principal of appliesTo?.principalTypes ?? [])
          for (const resource of appliesTo?.resourceTypes ?? []) {
            if (left-- <= 0) return
            this.#viewOf(action)
            this.#slices.of({ type: principal, id: '' }, action, { type: resource, id: '' })
          }
      }
  }

  #viewOf(action: EntityName): View | undefined {
    const key = keyOf(action)
    const known = this.#views.get(key)
    if (known !== undefined || this.#shapes === undefined || !this.#declared.has(key)) return known
    const view = this.#viewMade(this.#shapes, action)
    this.#views.set(key, view)
    return view
  }

  #viewMade(shapes: Shapes, action: EntityName): View {
    const name = `${this.#name} ${keyOf(action)}`
    const reads = this.#reads
    if (preparseSchema(name, () => actionView(shapes, action, reads).schema).type === 'success')
      return { context: contextSeen(shapes, action, reads), name }
    return { context: shapes.context(action) }
  }
}

const actionOf = ({ action }: PolicyRequest): EntityName =>
  typeof action === 'string' ? { type: 'Action', id: action } : action
