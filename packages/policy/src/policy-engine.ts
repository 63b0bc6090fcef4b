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

/** Evaluates one set of policies, which `cedarEngine` loads. Pure: the same request gives the same answer, and nothing throws. */
export interface PolicyEngine {
  /**
   * What it wants of the context of the action of this id: what the schema declares, less what no policy can look at of `history`, which may be left
   * out, and is left alone if it is there. undefined: nothing is typed.
   */
  context(action: string): Shape | undefined
  evaluate(request: PolicyRequest): PolicyAnswer
}
