import { preparseSchema } from '@cedar-policy/cedar-wasm/nodejs'
import { type ActionView, actionView, type Reads, seenBy } from './action-view.ts'
import { askCedar, judge } from './ask-cedar.ts'
import type { EntityName } from './entity-name.ts'
import type { PolicyAnswer, PolicyRequest } from './policy-engine.ts'
import type { PolicySet } from './policy-set.ts'
import { PolicySlices, type SliceOptions } from './policy-slices.ts'
import { RememberedAnswers } from './remembered-answers.ts'
import { keyOf, type Shape, type Shapes, within } from './schema-shapes.ts'

interface Options extends SliceOptions {
  /** Of the set's schema; without one nothing is typed or validated. */
  shapes: Shapes | undefined
  /** What the policies may look at of the context; everything unless given. Of its `history` the rest is neither wanted nor looked at. */
  reads?: Reads
}

interface View extends ActionView {
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

  evaluate(request: PolicyRequest): PolicyAnswer {
    const action = typeof request.action === 'string' ? { type: 'Action', id: request.action } : request.action
    const view = this.#viewOf(action)
    const asked = view?.name === undefined ? request : { ...request, context: seenBy(view, request.context) }
    return this.#remembered.answer(asked, () => {
      const names = this.#slices.of(request.principal, action, request.resource)
      return judge(askCedar(view?.name === undefined ? names : { ...names, schema: view.name }, asked))
    })
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
    const view = actionView(shapes, action, this.#reads)
    const name = `${this.#name} ${keyOf(action)}`
    if (preparseSchema(name, view.schema).type === 'success') return { ...view, name }
    return { ...view, context: shapes.context(action) }
  }
}
