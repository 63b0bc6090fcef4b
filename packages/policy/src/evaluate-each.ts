import type { PolicyEngine, PolicyRequest, Purpose } from './policy-engine.ts'

/**
 * `policies`: all policies that decided; `permits` and `wanting`: those of them that permit, and those that require human approval of this
 * exact action.
 */
export type EachAnswer =
  | { outcome: 'allow' | 'step_up'; policies: string[]; permits: string[]; wanting: string[] }
  | { outcome: 'deny'; policies: string[] }
  | { outcome: 'error'; policies: string[] }
  | { outcome: 'invalid'; why?: string }

/**
 * Evaluates an action for which several agents answer, one request after another. The first refusal is the answer. Human approval is
 * required if any agent's policies require it. After a refusal no further request is evaluated.
 */
export function evaluateEach(
  engine: PolicyEngine,
  requests: Iterable<PolicyRequest>,
  purpose: Purpose = 'decision',
): EachAnswer {
  const [policies, permits, wanting] = [new Set<string>(), new Set<string>(), new Set<string>()]
  for (const request of requests) {
    const answer = engine.evaluate(request, purpose)
    if (answer.outcome === 'error' || answer.outcome === 'invalid') return answer
    if (answer.outcome === 'deny') return { outcome: 'deny', policies: answer.policies }
    const isStepUp = answer.outcome === 'step_up'
    for (const policy of answer.policies) policies.add(policy)
    for (const policy of isStepUp ? answer.permits : answer.policies) permits.add(policy)
    for (const policy of isStepUp ? answer.policies : []) wanting.add(policy)
  }
  const outcome = wanting.size > 0 ? 'step_up' : 'allow'
  return { outcome, policies: [...policies], permits: [...permits], wanting: [...wanting] }
}
