import type { PolicyFiles } from '@bailiwick/installation'
import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { EntityName } from './entity-name.ts'
import type { Shape } from './schema-shapes.ts'

/** A question to policies: plain values, independent of the caller's spelling. */
export interface PolicyRequest {
  /** With attributes, it is an entity of this request; without, `entities` may contain it. */
  principal: EntityName & { attributes?: Record<string, unknown> }
  /** A string is the id of an action in no namespace. */
  action: string | EntityName
  resource: EntityName & { attributes?: Record<string, unknown> }
  context: Record<string, unknown>
  /** Other entities that policies may read, in Cedar's JSON form. */
  entities?: readonly EntityJson[]
}

/**
 * `step_up`: only policies that require human approval of this exact action stand in the way, and they are named; `permits` are the
 * policies that permit it once it is approved, with their obligations. `error`: some policy could not be evaluated, which denies.
 * `invalid`: the request does not match the schema; `why` is Cedar's text for the operator, and may quote the request.
 */
export type PolicyAnswer =
  | { outcome: 'allow' | 'deny'; policies: string[] }
  | { outcome: 'step_up'; policies: string[]; permits: string[] }
  | { outcome: 'error'; policies: string[] }
  | { outcome: 'invalid'; why?: string }

/** A decision is likely to be asked again; most questions of a search are not. */
export type Purpose = 'decision' | 'search'

/** Why policies answer as they do. */
export interface PolicyExplanation {
  outcome: PolicyAnswer['outcome']
  /** The policies that decided; for `error`, the policies that erred. */
  policies: string[]
  /** The evaluator's own messages about errors, and about a request that does not match the schema. */
  messages: string[]
  /**
   * Attributes that alone could change whether it is allowed, if their value were different. Only attributes that the request gives and
   * policies read by name.
   */
  wouldChange: Decisive[]
}

export interface Decisive {
  /** `context.grant.mode`, `subject.labels`, `resource.labels` */
  attribute: string
  /** In Cedar's JSON. */
  value: unknown
  /** The policies that read it. */
  policies: string[]
}

/**
 * Loads a set, once for all questions. Throws `config_invalid`, with the file name, for what does not parse or validate: a set that cannot
 * be read does not allow anything.
 */
export type LoadPolicies = (files: PolicyFiles) => PolicyEngine

/**
 * Evaluates one set of policies that a `LoadPolicies` loaded. Other code knows the evaluator only by this interface. Pure: the same request
 * gives the same answer, and nothing throws.
 */
export interface PolicyEngine {
  /**
   * The part of the context that it needs for the action with this id: what the schema declares, without the members of `history` that no
   * policy can read. Those may be left out, and are ignored if present. undefined: nothing is typed.
   */
  context(action: string): Shape | undefined
  /** Default purpose: a decision. The purpose does not change the answer. */
  evaluate(request: PolicyRequest, purpose?: Purpose): PolicyAnswer
  /** Slow, for people: gives the same outcome as `evaluate`, and why. It does not evict what decisions have cached. */
  explain(request: PolicyRequest): PolicyExplanation
}
