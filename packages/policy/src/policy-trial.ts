import { askCedar, type CedarAnswer, judge } from './ask-cedar.ts'
import { AuthZenPolicies, type PlainRequest, PolicySlot } from './authzen-policies.ts'
import { isStepUp } from './cedar-engine.ts'
import type { PolicyAnswer, PolicyRequest } from './policy-engine.ts'
import { dutiesOf } from './policy-obligations.ts'
import type { PolicySet } from './policy-set.ts'
import { type Preparsed, preparse } from './preparse.ts'

/** As the decision point would answer, as far as policies go. */
export interface TrialAnswer {
  outcome: PolicyAnswer['outcome']
  /** Who decided; of `error`, who erred. */
  policies: string[]
  /** Names of what is obliged to: `redact`, `limit`, `report_outcome_by`, `notify`, `step_up`. */
  obligations: string[]
  /** Cedar's words on errors, and on a request that does not fit the schema. */
  messages: string[]
}

const slot = 'trial'
const waived = 'trial without step-ups'

/** Asks one set at a time: Cedar keeps the one that was loaded last. Throws `config_invalid` as `AuthZenPolicies`. */
export class PolicyTrial {
  readonly #mapping: AuthZenPolicies
  readonly #names: Preparsed
  /** The same set without the policies that want a human's word. */
  readonly #waived: Preparsed
  readonly #hasStepUps: boolean
  readonly #policies: PolicySet['policies']

  constructor(set: PolicySet) {
    this.#mapping = new AuthZenPolicies(set, new PolicySlot(slot))
    this.#names = preparse(set, slot)
    this.#policies = set.policies
    const others = new Map([...set.policies].filter(([, policy]) => !isStepUp(policy)))
    this.#hasStepUps = others.size < set.policies.size
    this.#waived = preparse({ ...set, policies: others }, waived)
  }

  /** Throws `request_malformed` for a member that only Cedar may use. */
  ask(request: PlainRequest): TrialAnswer {
    const asked = this.cedarRequest(request)
    return asked === undefined ? mistyped : this.#judge(asked)
  }

  /** As `AuthZenPolicies.cedarRequest`. */
  cedarRequest(request: PlainRequest): PolicyRequest | undefined {
    return this.#mapping.cedarRequest(request)
  }

  #judge(asked: PolicyRequest): TrialAnswer {
    const answer = judged(askCedar(this.#names, asked))
    const isStepUp =
      answer.outcome === 'deny' && this.#hasStepUps && judge(askCedar(this.#waived, asked)).outcome === 'allow'
    const { redact, limitBytes, reportSeconds, notify } = dutiesOf(this.#policies, answer.policies)
    const asksFor: [string, boolean][] = [
      ['redact', redact.length > 0],
      ['limit', limitBytes !== undefined],
      ['report_outcome_by', reportSeconds !== undefined],
      ['notify', notify.length > 0],
      ['step_up', isStepUp],
    ]
    const obligations = answer.outcome === 'error' ? [] : asksFor.flatMap(([name, is]) => (is ? [name] : []))
    return { ...answer, obligations, outcome: isStepUp ? 'step_up' : answer.outcome }
  }
}

const mistyped: TrialAnswer = {
  outcome: 'invalid',
  policies: [],
  obligations: [],
  messages: ['a value is not of its declared type, or the action is not one'],
}

function judged(said: CedarAnswer): TrialAnswer {
  const { outcome, policies } = { policies: [], ...judge(said) }
  return {
    outcome,
    policies,
    obligations: [],
    messages: said.ok ? said.errors.map(({ message }) => message) : [said.error],
  }
}
