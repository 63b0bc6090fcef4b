import { AuthZenPolicies, type PlainRequest, PolicySlot } from './authzen-policies.ts'
import { engineOf } from './cedar-engine.ts'
import type { PolicyEngine, PolicyExplanation } from './policy-engine.ts'
import { dutiesOf } from './policy-obligations.ts'
import type { PolicySet } from './policy-set.ts'

/** The decision point's answer, as far as policies determine it. */
export interface TrialAnswer extends Omit<PolicyExplanation, 'wouldChange'> {
  /** Names of the obligations: `redact`, `limit`, `report_outcome_by`, `notify`, `step_up`. */
  obligations: string[]
}

/** Asks one set at a time, because Cedar keeps the set that was loaded last. Throws `config_invalid` like `AuthZenPolicies`. */
export class PolicyTrial {
  readonly #mapping: AuthZenPolicies
  readonly #engine: PolicyEngine
  readonly #policies: PolicySet['policies']

  constructor(set: PolicySet) {
    this.#mapping = new AuthZenPolicies(set, new PolicySlot('trial mapping'))
    this.#engine = engineOf(set, 'trial engine', this.#mapping.options)
    this.#policies = set.policies
  }

  /** Throws `request_malformed` for a member that only Cedar may use. */
  ask(request: PlainRequest): TrialAnswer {
    const asked = this.#mapping.cedarRequest(request)
    if (asked === undefined) return this.#mistyped(request)
    const answer = this.#engine.evaluate(asked)
    // The error text is available only from an explanation.
    if (answer.outcome === 'error' || answer.outcome === 'invalid') return this.#obliged(this.#engine.explain(asked))
    return this.#obliged({ outcome: answer.outcome, policies: answer.policies, messages: [] })
  }

  /** Like `ask`, with the reasons. */
  explain(request: PlainRequest): TrialAnswer & PolicyExplanation {
    const asked = this.#mapping.cedarRequest(request)
    return asked === undefined
      ? { ...this.#mistyped(request), wouldChange: [] }
      : this.#obliged(this.#engine.explain(asked))
  }

  #mistyped(request: PlainRequest): TrialAnswer {
    return { outcome: 'invalid', policies: [], obligations: [], messages: [this.#mapping.whyNotAsked(request)] }
  }

  #obliged<A extends Omit<PolicyExplanation, 'wouldChange'>>(answer: A): A & TrialAnswer {
    const { redact, limitBytes, reportSeconds, notify } = dutiesOf(this.#policies, answer.policies)
    const asksFor: [string, boolean][] = [
      ['redact', redact.length > 0],
      ['limit', limitBytes !== undefined],
      ['report_outcome_by', reportSeconds !== undefined],
      ['notify', notify.length > 0],
      ['step_up', answer.outcome === 'step_up'],
    ]
    const obligations = answer.outcome === 'error' ? [] : asksFor.flatMap(([name, is]) => (is ? [name] : []))
    return { ...answer, obligations }
  }
}
