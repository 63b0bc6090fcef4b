import { type DenialReason, ServiceError } from '@bailiwick/errors'
import type { AuthZenPolicies, PolicyAnswer } from '@bailiwick/policy'
import type { AuthZenDecider, AuthZenDecision, AuthZenSession } from '../authzen.ts'
import { isBearer } from './caller-token.ts'

/** `token`: what callers must show; without, the listener has to be one that only this machine reaches. */
export function plainDecider(policies: { current(): AuthZenPolicies }, token: string | undefined): AuthZenDecider {
  const session: AuthZenSession = {
    async evaluate(evaluation) {
      const active = policies.current()
      return decisionOf(active.evaluate(evaluation), active.hash)
    },
    async search(search) {
      const active = policies.current()
      return { ids: active.search(search), context: { policy_set: active.hash } }
    },
  }
  return {
    admit({ authorization }) {
      if (token !== undefined && !isBearer(authorization, token)) throw new ServiceError('caller_unauthenticated')
      return session
    },
  }
}

/** Nothing in it is of this moment: the same request gives the same body. */
function decisionOf(answer: PolicyAnswer, policy_set: string): AuthZenDecision {
  const policies = answer.outcome === 'invalid' ? [] : answer.policies
  if (answer.outcome === 'allow') return { decision: true, context: { policies, policy_set } }
  return { decision: false, context: { reason: reasons[answer.outcome], policies, policy_set } }
}

const reasons: Record<Exclude<PolicyAnswer['outcome'], 'allow'>, DenialReason> = {
  deny: 'policy_denied',
  step_up: 'policy_denied',
  error: 'policy_error',
  invalid: 'request_invalid',
}
