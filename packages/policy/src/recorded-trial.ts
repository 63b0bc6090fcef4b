import type { PolicyJson, ResidualResponse } from '@cedar-policy/cedar-wasm/nodejs'
import { askCedar } from './ask-cedar.ts'
import { isAuthorizedPartial } from './cedar.ts'
import { isStepUp } from './cedar-engine.ts'
import { certainly } from './cedar-explanation.ts'
import { invalid } from './invalid-policies.ts'
import { requireKnownHistory } from './known-history.ts'
import { placeholder } from './placeholder.ts'
import type { PolicyRequest } from './policy-engine.ts'
import type { Policy, PolicySet } from './policy-set.ts'
import { type Preparsed, preparse } from './preparse.ts'
import { type Shape, type Shapes, shapesOf } from './schema-shapes.ts'
import { withUnknowns } from './unscoped.ts'

/** The effect of one policy according to an old decision: it `applied`, it did `not`, or it `erred`. */
export type Did = 'applied' | 'not' | 'erred'

/** An action that was decided earlier, as far as it is known. */
export interface RecordedQuestion {
  /** One for each agent of the chain, the grant's first, without the history and with arbitrary values for unknown members. */
  requests: readonly PolicyRequest[]
  /** Unknown members of the context, each given from the outside in; of the history, those that `history` does not cover. */
  unknown: readonly (readonly string[])[]
  /** The known part of `context.history`, by its shape, and the unknown members of the context; absent: nothing is known. */
  history?(shape: Shape): { known: Record<string, unknown>; unknown: readonly (readonly string[])[] }
  /** A human approved this exact action. */
  saidYes: boolean
  /** The record's statement about a policy of the set that decided, for each of these requests; undefined: none. */
  did(policy: string): Did | undefined
  /** The set that decided, if it is available. */
  decidedBy: PolicySet | undefined
}

/** `passes`: policies do not stand in the way. Otherwise, the attributes on which it depends. */
export type RecordedAnswer =
  | {
      passes: boolean /** The policies that decide; none in a denial where no policy permits. */
      policies: string[]
      why?: 'error' | 'invalid'
    }
  | { needs: string[]; policies: string[] }

type Open = Extract<RecordedAnswer, { needs: string[] }>

/** The policies of the set, with some members of the context unknown; `readers` are those that read one of them. */
interface View {
  key: string
  parts: ReadonlyMap<string, ReturnType<typeof withUnknowns>>
  readers: readonly string[]
}

/** The question about one agent of the chain. */
interface One {
  request: PolicyRequest
  view: View
  status: ReadonlyMap<string, Did>
  saidYes: boolean
}

/**
 * What a set says about actions that were decided earlier, when not everything that policies read is known. Cedar's partial evaluation says
 * what holds regardless of the rest. If a policy is unchanged in the set that decided, its recorded result is used instead of asking again.
 * An unknown is never guessed: it becomes `needs`. One set at a time uses one `name`.
 */
export class RecordedTrial {
  readonly #set: PolicySet
  readonly #shapes: Shapes
  readonly #names: Preparsed
  readonly #waived: Preparsed
  readonly #views = new Map<string, View>()
  readonly #known = new Map<string, RecordedAnswer>()

  /** Throws `config_invalid` for a set that a decision point would not load. */
  constructor(set: PolicySet, name: string) {
    if (set.schema === undefined) throw invalid('schema.cedarschema', 'missing')
    this.#set = set
    this.#shapes = shapesOf(set.schema)
    requireKnownHistory(this.#shapes)
    this.#names = preparse(set, name)
    this.#waived = preparse({ ...set, policies: others(set.policies) }, `${name} without step-ups`)
  }

  ask(question: RecordedQuestion): RecordedAnswer {
    const { requests, saidYes, did, decidedBy } = question
    const { history, unknown } = this.#historyOf(question)
    const view = this.#viewOf([...question.unknown, ...unknown])
    const status = new Map<string, Did>()
    // The results of the other policies are known.
    for (const id of decidedBy?.schema === this.#set.schema ? view.readers : []) {
      const isUnchanged = decidedBy?.policies.get(id)?.text === this.#set.policies.get(id)?.text
      const known = isUnchanged ? did(id) : undefined
      if (known !== undefined) status.set(id, known)
    }
    const named = new Set<string>()
    let open: Open | undefined
    for (const { context, ...request } of requests) {
      const answer = this.#once({ request: { ...request, context: { ...context, history } }, view, status, saidYes })
      if ('needs' in answer) open = merged(open, answer)
      else if (!answer.passes) return answer
      else for (const id of answer.policies) named.add(id)
    }
    return open ?? { passes: true, policies: [...named] }
  }

  /** A history that matches the schema; without one, the decision point would give an empty history. */
  #historyOf({ requests, history }: RecordedQuestion): {
    history: Record<string, unknown>
    unknown: readonly (readonly string[])[]
  } {
    const action = requests[0]?.action ?? ''
    const context = this.#shapes.context(typeof action === 'string' ? { type: 'Action', id: action } : action)
    const shape = context.kind === 'Record' ? context.members.get('history') : undefined
    if (shape === undefined) return { history: {}, unknown: [] }
    const anything = placeholder(shape) as Record<string, unknown>
    const told = history?.(shape)
    if (told === undefined) return { history: anything, unknown: [['history']] }
    return { history: { ...anything, ...told.known }, unknown: told.unknown }
  }

  #viewOf(unknown: RecordedQuestion['unknown']): View {
    const key = unknown.map((member) => member.join('.')).join(' ')
    const known = this.#views.get(key)
    if (known) return known
    const parts = new Map([...this.#set.policies].map(([id, policy]) => [id, withUnknowns(policy, unknown)] as const))
    const view = { key, parts, readers: [...parts].filter(([, { needs }]) => needs.length > 0).map(([id]) => id) }
    this.#views.set(key, view)
    return view
  }

  #once(question: One): RecordedAnswer {
    const { request, view, status, saidYes } = question
    const key = JSON.stringify([request, view.key, [...status], saidYes])
    const known = this.#known.get(key)
    if (known) return known
    const answer = this.#evaluate(question)
    if (this.#known.size >= mostKnown) this.#known.clear()
    this.#known.set(key, answer)
    return answer
  }

  #evaluate(question: One): RecordedAnswer {
    const { request, view, saidYes } = question
    const said = askCedar(this.#names, request)
    if (!said.ok) return { passes: false, policies: [], why: 'invalid' }
    if (view.readers.length === 0) return this.#exactly(request, said, saidYes)
    const { policies } = this.#set
    const whole = this.#partly(question, policies)
    if (whole.errored.length > 0) return { passes: false, policies: whole.errored, why: 'error' }
    const rest = saidYes ? this.#partly(question, others(policies)) : whole
    const certain = certainly(this.#set, rest)
    const open = whole.nontrivialResiduals.toSorted()
    // The human who approved an action said nothing about a policy that errs.
    const maySpoil = saidYes && open.some((id) => isStepUp(policies.get(id) as Policy))
    if (certain === true && !maySpoil) return { passes: true, policies: rest.satisfied.toSorted() }
    if (certain === false)
      return { passes: false, policies: rest.satisfied.filter((id) => isForbid(policies.get(id))).toSorted() }
    const needs = open.flatMap((id) => view.parts.get(id)?.needs ?? [])
    return { needs: [...new Set(needs)].sort(), policies: open }
  }

  #exactly(
    request: PolicyRequest,
    said: Extract<ReturnType<typeof askCedar>, { ok: true }>,
    saidYes: boolean,
  ): RecordedAnswer {
    if (said.errors.length > 0)
      return { passes: false, policies: [...new Set(said.errors.map(({ policyId }) => policyId))], why: 'error' }
    if (said.decision === 'allow') return { passes: true, policies: said.reason }
    const waived = saidYes ? askCedar(this.#waived, request) : undefined
    if (waived?.ok && waived.errors.length === 0 && waived.decision === 'allow')
      return { passes: true, policies: waived.reason }
    return { passes: false, policies: said.reason }
  }

  #partly({ request, view, status }: One, policies: ReadonlyMap<string, Policy>): ResidualResponse {
    const { principal, action, resource, context } = request
    const erred = [...policies.keys()].filter((id) => status.get(id) === 'erred')
    const asked = [...policies].flatMap(([id, policy]): [string, PolicyJson | string][] => {
      const did = status.get(id)
      if (did === 'not' || did === 'erred') return []
      return [[id, did === 'applied' ? always(policy.json) : (view.parts.get(id)?.spelled ?? policy.text)]]
    })
    const entity = ({ type, id, attributes = {} }: PolicyRequest['resource']) => ({
      uid: { type, id },
      attrs: attributes as Record<string, never>,
      parents: [],
    })
    const answer = isAuthorizedPartial({
      principal: { type: principal.type, id: principal.id },
      action: typeof action === 'string' ? { type: 'Action', id: action } : action,
      resource: { type: resource.type, id: resource.id },
      context: context as Record<string, never>,
      entities: [entity(principal), entity(resource)],
      policies: { staticPolicies: Object.fromEntries(asked) },
      schema: this.#set.schema ?? '',
      validateRequest: false,
    })
    if (answer.type === 'failure') throw invalid('partial evaluation', answer.errors[0]?.message)
    return { ...answer.response, errored: [...answer.response.errored, ...erred] }
  }
}

const mostKnown = 10_000

const isForbid = (policy: Policy | undefined) => policy?.json.effect === 'forbid'

function others(policies: ReadonlyMap<string, Policy>): ReadonlyMap<string, Policy> {
  return new Map([...policies].filter(([, policy]) => !isStepUp(policy)))
}

function always({ effect }: PolicyJson): PolicyJson {
  const all = { op: 'All' } as const
  return { effect, principal: all, action: all, resource: all, conditions: [] }
}

const merged = (one: Open | undefined, { needs, policies }: Open): Open => ({
  needs: [...new Set([...(one?.needs ?? []), ...needs])].sort(),
  policies: [...new Set([...(one?.policies ?? []), ...policies])].sort(),
})
