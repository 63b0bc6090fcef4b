import type { PolicyAnswer, PolicyRequest, Shape } from '@bailiwick/policy'

/** The question to the active set and its answer, so that a candidate can be asked the same. */
export interface PolicyQuestion {
  policySet: string
  action: string
  outcome: PolicyAnswer['outcome']
  /** The requests, with as much history as a schema declares. Call it at once: the tree's history is read as it is now. */
  requests(history: Shape | undefined): Iterable<PolicyRequest>
}
