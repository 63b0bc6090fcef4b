/** What policies are asked, in the terms of the schema of `policies/`: plain values, nothing of the caller's spelling. */
export interface PolicyRequest {
  principal: { type: string; id: string; attributes: Record<string, unknown> }
  action: string
  resource: { type: string; id: string; attributes: Record<string, unknown> }
  context: Record<string, unknown>
}

/**
 * `step_up`: nothing stands in the way but policies that want a human's word for this very action, which are named. `error`:
 * some policy could not be evaluated, which denies; `invalid`: the request does not fit the schema.
 */
export type PolicyAnswer =
  | { outcome: 'allow' | 'deny' | 'step_up'; policies: string[] }
  | { outcome: 'error'; policies: string[] }
  | { outcome: 'invalid' }

/** Evaluates one set of policies. Pure: the same request gives the same answer, and nothing throws. */
export interface PolicyEngine {
  evaluate(request: PolicyRequest): PolicyAnswer
}
