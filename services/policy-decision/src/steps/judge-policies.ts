import { toolServerOf } from '@bailiwick/approval-statement'
import type { DenialReason } from '@bailiwick/errors'
import { type Duties, evaluateEach, historyIn, type Purpose } from '@bailiwick/policy'
import type { SpendView } from '@bailiwick/projection'
import type { Pdp } from '../context.ts'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import type { PolicyQuestion } from '../shadow/policy-question.ts'
import { historyOf, labelsOf } from '../state/history.ts'
import type { Levels } from './chain.ts'
import type { Standing } from './life.ts'
import type { Claim } from './verify-credential.ts'

/** `asked`: absent if policies had no part in the verdict. */
export type PolicyVerdict = { asked?: PolicyQuestion } & (
  | Passed
  | { reason: DenialReason; policies?: string[]; duties?: Duties }
)

interface Passed {
  labels: string[]
  /** The owners of the chain's agents, each once. */
  owners: string[]
  policies: string[]
  policySet: string
  /** The only policies in the way are ones that require a human's approval. */
  stepUp: boolean
  duties: Duties
  /** The duties that those policies impose until there is an approval. */
  wanting: Duties
}

interface Question {
  request: EvaluationRequest
  claim: Claim
  standing: Standing
  levels: Levels
  /** Defaults to a decision. */
  purpose?: Purpose
}

/**
 * DESIGN §7.4 steps 5 and 6: how the active policies judge this action now, with each agent of the chain as the principal in turn. All
 * must be allowed: no agent can get around a policy through another agent or a sub-agent.
 */
export function judgePolicies(pdp: Pdp, question: Question, view: SpendView): PolicyVerdict {
  const active = pdp.policies.current()
  if (!active) return { reason: 'policy_error' }
  const { hash: policySet, engine, dutiesOf } = active
  const action = question.request.action.name
  const { registry } = pdp.projection.ledger
  const labels = labelsOf(registry, question.request.resource)
  const requests = requestsOf(pdp, { ...question, labels, view })
  const answer = evaluateEach(engine, requests(historyIn(engine.context(action))), question.purpose)
  const asked = { policySet, action, outcome: answer.outcome, requests }
  if (answer.outcome === 'invalid') {
    const why = answer.why?.slice(0, 300)
    pdp.logger.warn({ policy_set: policySet, why }, 'policies cannot be asked of this call')
    return { reason: 'request_invalid', asked }
  }
  const { policies } = answer
  if (answer.outcome === 'error') return { reason: 'policy_error', policies, asked }
  if (answer.outcome === 'deny') return { reason: 'policy_denied', policies, duties: dutiesOf(policies), asked }
  const owners = question.levels.map(({ holder }) => registry.instance(holder.agent)?.agent.owner)
  if (!owners.every((owner) => owner !== undefined)) return { reason: 'agent_revoked' }
  return {
    labels,
    owners: [...new Set(owners)],
    policies: policies.slice(0, mostPolicies),
    policySet,
    stepUp: answer.outcome === 'step_up',
    duties: dutiesOf(answer.permits),
    wanting: dutiesOf(answer.wanting),
    asked,
  }
}

/** The number of policies that an event has room for. */
const mostPolicies = 64

/** One request for each agent of the chain. Stops before the first agent that the registry no longer knows. */
function requestsOf(
  { projection, clock }: Pdp,
  { request, claim, standing, levels, labels, view }: Question & { labels: string[]; view: SpendView },
): PolicyQuestion['requests'] {
  const { registry, decisions } = projection.ledger
  const { grant } = standing.tree
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
  return function* (history) {
    for (const { holder } of levels) {
      const agent = registry.instance(holder.agent)?.agent
      if (!agent) return
      const attributes = { instance: holder.agent, owner: agent.owner, labels: agent.labels }
      yield {
        principal: { type: 'agent', id: agent.id, attributes },
        ...asked,
        context: { ...context, history: historyOf(history, { ...soFar, agent: agent.id, owner: agent.owner }) },
      }
    }
  }
}
