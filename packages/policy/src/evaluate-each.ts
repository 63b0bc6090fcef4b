import type { PolicyEngine, PolicyRequest, Purpose } from './policy-engine.ts'

/** `policies`: all who decided; `permits` and `wanting`: those of them that permit, and that want a human's word for this very action. */
export type EachAnswer =
  | { outcome: 'allow' | 'step_up'; policies: string[]; permits: string[]; wanting: string[] }
  | { outcome: 'deny'; policies: string[] }
  | { outcome: 'error'; policies: string[] }
  | { outcome: 'invalid'; why?: string }

/**
 * What policies say of an action that several answer for, asked of each in turn: the first refusal is the answer, and a human's word is
 * wanted when anybody's needs it. No request is asked for that a refusal makes needless.
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
