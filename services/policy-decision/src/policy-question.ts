import type { PolicyAnswer, PolicyRequest, Shape } from '@bailiwick/policy'

/** What the active set was asked and what it said, so that a candidate can be asked the same. */
export interface PolicyQuestion {
  policySet: string
  action: string
  outcome: PolicyAnswer['outcome']
  /** With as much of the history as a schema declares; of the tree as it is now: later it is another. */
  requests(history: Shape | undefined): Iterable<PolicyRequest>
}
