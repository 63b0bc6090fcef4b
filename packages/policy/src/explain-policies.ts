import type { PlainRequest } from './authzen-policies.ts'
import type { PolicyExplanation } from './policy-engine.ts'
import type { PolicySet } from './policy-set.ts'
import { PolicyTrial, type TrialAnswer } from './policy-trial.ts'

/** Why policies answer a request as they do. */
export type Explanation = TrialAnswer & Pick<PolicyExplanation, 'wouldChange'>

/** Throws `config_invalid` for a set that does not load, `request_malformed` for a member that only Cedar may use. */
export const explainPolicies = (set: PolicySet, request: PlainRequest): Explanation =>
  new PolicyTrial(set).explain(request)
