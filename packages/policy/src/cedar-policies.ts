import { actionView, contextSeen, type Reads, seenBy } from './action-view.ts'
import { askCedar, type CedarAnswer, judge } from './ask-cedar.ts'
import { preparseSchema } from './cedar.ts'
import type { EntityName } from './entity-name.ts'
import type { PolicyAnswer, PolicyRequest, Purpose } from './policy-engine.ts'
import type { PolicySet } from './policy-set.ts'
import { PolicySlices, type SliceOptions } from './policy-slices.ts'
import { RememberedAnswers } from './remembered-answers.ts'
import { keyOf, type Shape, type Shapes, within } from './schema-shapes.ts'

export interface Options extends SliceOptions {
  /** Of the set's schema; without one nothing is typed or validated. */
  shapes: Shapes | undefined
  /** What the policies may look at of the context; everything unless given. Of its `history` the rest is neither wanted nor looked at. */
  reads?: Reads
  /** Whether an engine is to be ready before its first request comes. */
  eager?: boolean
}

interface View {
  /** What is seen of the action's context. */
  context: Shape
  /** Under which the wasm keeps its schema; undefined: that of the whole set. */
  name?: string
}

/** Combinations of action and types: a set may declare so many that nobody waits for all. */
const mostPreheated = 64

/** Asks Cedar about one set, of as few policies and by as small a schema as give the same answer. */
export class CedarPolicies {
  readonly #name: string
  readonly #shapes: Shapes | undefined
  readonly #slices: PolicySlices
  readonly #reads: Reads
  readonly #remembered = new RememberedAnswers()
  readonly #declared: ReadonlySet<string>
  /** Of declared actions, each made when it is first asked about. */
  readonly #views = new Map<string, View>()

  /** `name`: as of `PolicySlices`. */
  constructor(set: Pick<PolicySet, 'schema' | 'policies'>, name: string, options: Options) {
    this.#name = name
    this.#shapes = options.shapes
    this.#reads = options.reads ?? (() => true)
    this.#slices = new PolicySlices(set, name, options)
    this.#declared = new Set(options.shapes?.actions.map(keyOf))
  }

  /** What it wants of the context of an action: what the schema declares, of `history` what some policy looks at. */
  context(action: EntityName): Shape | undefined {
    return this.#viewOf(action)?.context ?? this.#shapes?.context(action)
  }

  evaluate(request: PolicyRequest, purpose: Purpose = 'decision'): PolicyAnswer {
    const asked = this.#seen(request)
    return this.#remembered.answer(asked, () => judge(this.#ask(asked)), purpose)
  }

  /** What Cedar itself says, whatever it said before. */
  say(request: PolicyRequest): CedarAnswer {
    return this.#ask(this.#seen(request))
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

  /** Makes what requests of declared actions and types need, so that the first of them does not wait for it. */
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
