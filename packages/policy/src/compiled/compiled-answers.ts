import { judge } from '../ask-cedar.ts'
import type { PolicyAnswer, PolicyRequest, Purpose } from '../policy-engine.ts'
import type { PolicySet } from '../policy-set.ts'
import { CompiledPolicies, type CompileOptions } from './compiled-policies.ts'
import type { EngineWatch } from './engine-watch.ts'

/** The compiled engine of a set in production: it counts who answers, and some of its answers are compared with Cedar's. */
export class CompiledAnswers {
  readonly #hash: string
  readonly #policies: CompiledPolicies
  readonly #watch: EngineWatch

  constructor({ hash, policies }: Pick<PolicySet, 'hash' | 'policies'>, options: CompileOptions, watch: EngineWatch) {
    this.#hash = hash
    this.#policies = new CompiledPolicies(policies.values(), options)
    this.#watch = watch
  }

  /** undefined: Cedar must answer. `cedar`: Cedar's answer to the same question; undefined: it can no longer be asked. */
  answer(request: PolicyRequest, purpose: Purpose, cedar: () => PolicyAnswer | undefined): PolicyAnswer | undefined {
    const { told } = this.#watch
    const verdict = this.#watch.isOff(this.#hash) ? 'switched_off' : this.#policies.answer(request)
    if (typeof verdict === 'string') {
      told.answered('cedar', verdict)
      return undefined
    }
    told.answered('compiled', '')
    const { decision, reason, erred } = verdict
    const answer = judge({ ok: true, decision, reason, errors: erred.map((policyId) => ({ policyId, message: '' })) })
    if (purpose === 'decision') this.#watch.decided(this.#hash, answer, cedar)
    return answer
  }
}
