import type { PolicyFiles } from '@bailiwick/installation'
import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { EntityName } from './entity-name.ts'
import type { Shape } from './schema-shapes.ts'

/** What policies are asked: plain values, nothing of the caller's spelling. */
export interface PolicyRequest {
  /** With attributes it is an entity of this request; without, `entities` may hold it. */
  principal: EntityName & { attributes?: Record<string, unknown> }
  /** A string: of this id, in no namespace. */
  action: string | EntityName
  resource: EntityName & { attributes?: Record<string, unknown> }
  context: Record<string, unknown>
  /** Whatever else policies may look at, in Cedar's JSON form. */
  entities?: readonly EntityJson[]
}

/**
 * `step_up`: nothing stands in the way but policies that want a human's word for this very action, which are named; `permits` are
 * those that permit it once there is one, with what they oblige to. `error`:
 * some policy could not be evaluated, which denies; `invalid`: the request does not fit the schema, `why` in Cedar's
 * words, for whoever runs this: they may quote the request.
 */
export type PolicyAnswer =
  | { outcome: 'allow' | 'deny'; policies: string[] }
  | { outcome: 'step_up'; policies: string[]; permits: string[] }
  | { outcome: 'error'; policies: string[] }
  | { outcome: 'invalid'; why?: string }

/** A decision is likely to be asked again; of what a search asks about, most is not. */
export type Purpose = 'decision' | 'search'

/** Why policies answer as they do. */
export interface PolicyExplanation {
  outcome: PolicyAnswer['outcome']
  /** Who decided; of `error`, who erred. */
  policies: string[]
  /** The evaluator's own words on errors, and on a request that does not fit the schema. */
  messages: string[]
  /** Attributes any of which, being otherwise, could alone change whether it is allowed; of what the request says and policies look at by name. */
  wouldChange: Decisive[]
}

export interface Decisive {
  /** `context.grant.mode`, `subject.labels`, `resource.labels` */
  attribute: string
  /** In Cedar's JSON. */
  value: unknown
  /** The policies that look at it. */
  policies: string[]
}

/**
 * Loads a set, once for all that is asked of it. Throws `config_invalid`, naming the file, for what does not parse or validate:
 * a set that cannot be read is not a set that allows.
 */
export type LoadPolicies = (files: PolicyFiles) => PolicyEngine

/**
 * Evaluates one set of policies, which a `LoadPolicies` loaded: all that others know of the evaluator. Pure: the same request gives the
 * same answer, and nothing throws.
 */
export interface PolicyEngine {
  /**
   * What it wants of the context of the action of this id: what the schema declares, less what no policy can look at of `history`, which may be left
   * out, and is left alone if it is there. undefined: nothing is typed.
   */
  context(action: string): Shape | undefined
  /** A decision unless told; the answer is the same. */
  evaluate(request: PolicyRequest, purpose?: Purpose): PolicyAnswer
  /** Slow, for people: the same outcome as `evaluate` gives, and why. Takes nothing from those who are decided about. */
  explain(request: PolicyRequest): PolicyExplanation
}
