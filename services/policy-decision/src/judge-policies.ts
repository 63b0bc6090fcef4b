import { toolServerOf } from '@bailiwick/approval-statement'
import type { DenialReason } from '@bailiwick/errors'
import type { Duties } from '@bailiwick/policy'
import type { SpendView } from '@bailiwick/projection'
import type { Levels } from './chain.ts'
import type { Pdp } from './context.ts'
import type { EvaluationRequest } from './evaluation-request.ts'
import { historyIn, historyOf, labelsOf } from './history.ts'
import type { Standing } from './life.ts'
import type { Claim } from './verify-credential.ts'

export type PolicyVerdict =
  /** `stepUp`: only policies that want a human's word stand in the way; `wanting`: what these oblige to until there is one. */
  | { labels: string[]; policies: string[]; policySet: string; stepUp: boolean; duties: Duties; wanting: Duties }
  | { reason: DenialReason; policies?: string[]; duties?: Duties }

/**
 * DESIGN §7.4 steps 5 and 6: what the active policies say of this action now, with each agent of the chain as the principal in turn. All must
 * be allowed: an agent that policy keeps from something does not get it from another, nor through a sub-agent.
 */
export function judgePolicies(
  { policies, projection, clock, logger }: Pdp,
  {
    request,
    claim,
    standing,
    levels,
  }: { request: EvaluationRequest; claim: Claim; standing: Standing; levels: Levels },
  view: SpendView,
): PolicyVerdict {
  const { registry, decisions } = projection.ledger
  const active = policies.current()
  if (!active) return { reason: 'policy_error' }
  const { grant } = standing.tree
  const history = historyIn(active.engine.context(request.action.name))
  const labels = labelsOf(registry, request.resource)
  const now = clock.now()
  const time = new Date(now)
  const asked = {
    action: request.action.name,
    resource: {
      type: request.resource.type,
      id: request.resource.id,
      attributes: { labels, server: toolServerOf(request.resource) ?? '' },
    },
  }
  const context = {
    grant: {
      id: grant.id,
      task: grant.authority.task,
      mode: grant.mode,
      approvers: standing.approverIds.length,
      seconds_left: Math.floor((Date.parse(grant.not_after) - now) / 1000),
    },
    proof: claim.proof,
    time: { hour: time.getUTCHours(), weekday: time.getUTCDay() },
  }
  const soFar = { decisions, root: standing.tree.id, tree: view, depth: levels.length - 1, now }
  const named = new Set<string>()
  /** Who permits, and who wants a human's word, for each agent of the chain. */
  const [permits, wanting] = [new Set<string>(), new Set<string>()]
  for (const { holder } of levels) {
    const agent = registry.instance(holder.agent)?.agent
    if (!agent) return { reason: 'agent_revoked' }
    const attributes = { instance: holder.agent, owner: agent.owner, labels: agent.labels }
    const answer = active.engine.evaluate({
      principal: { type: 'agent', id: agent.id, attributes },
      ...asked,
      context: { ...context, history: historyOf(history, { ...soFar, agent: agent.id }) },
    })
    if (answer.outcome === 'invalid') {
      logger.warn({ policy_set: active.hash, why: answer.why?.slice(0, 300) }, 'policies cannot be asked of this call')
      return { reason: 'request_invalid' }
    }
    if (answer.outcome === 'error') return { reason: 'policy_error', policies: answer.policies }
    if (answer.outcome === 'deny')
      return { reason: 'policy_denied', policies: answer.policies, duties: active.dutiesOf(answer.policies) }
    const isStepUp = answer.outcome === 'step_up'
    for (const policy of answer.policies) named.add(policy)
    for (const policy of isStepUp ? answer.permits : answer.policies) permits.add(policy)
    for (const policy of isStepUp ? answer.policies : []) wanting.add(policy)
  }
  return {
    labels,
    policies: [...named].slice(0, mostPolicies),
    policySet: active.hash,
    stepUp: wanting.size > 0,
    duties: active.dutiesOf(permits),
    wanting: active.dutiesOf(wanting),
  }
}

/** What an event holds. */
const mostPolicies = 64
