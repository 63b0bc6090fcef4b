import { type Duties, evaluateEach, historyIn, type Purpose } from '@bailiwick/policy'
import type { Clocked, Judges, Logged, State } from '../ports.ts'
import type { PolicyQuestion } from '../shadow/policy-question.ts'
import { labelsOf } from '../state/history.ts'
import type { ActiveSet } from '../state/policies.ts'
import type { Levels } from './authority.ts'
import { type PolicyFacts, policyRequests } from './policy-requests.ts'
import { refuse, type Verdict } from './steps.ts'

export interface Asked {
  active: ActiveSet
  labels: string[]
  answer: ReturnType<typeof evaluateEach>
  asked: PolicyQuestion
}

/**
 * The active policies are asked of this action now, with each agent of the chain as the principal in turn, and are shown what was done
 * before. All must be allowed: no agent can get around a policy through another agent or a sub-agent.
 */
export function policyAsked(
  facts: PolicyFacts & {
    /** Defaults to a decision. */
    purpose?: Purpose
  },
  ports: Pick<Judges, 'policies'> & Pick<State, 'projection'> & Pick<Clocked, 'clock'>,
): Verdict<Asked> {
  const active = ports.policies.current()
  if (!active) return refuse('policy_error')
  const { hash: policySet, engine } = active
  const action = facts.request.action.name
  const labels = labelsOf(ports.projection.ledger.registry, facts.request.resource)
  const requests = policyRequests(facts, labels, ports)
  const answer = evaluateEach(engine, requests(historyIn(engine.context(action))), facts.purpose)
  return { active, labels, answer, asked: { policySet, action, outcome: answer.outcome, requests } }
}

export interface Permitted {
  /** The owners of the chain's agents, each once. */
  owners: string[]
  policies: string[]
  /** The only policies in the way are ones that require a human's approval. */
  wantsHuman: boolean
  /** The duties of the policies that permit. */
  imposed: Duties
  /** The duties that the policies in the way impose until there is an approval. */
  wanting: Duties
}

/** The active policies permit the action, with a human's approval at most. An error in any of them denies. */
export function policy(
  { active, answer, levels }: Pick<Asked, 'active' | 'answer'> & { levels: Levels },
  { projection, logger }: Pick<State, 'projection'> & Logged,
): Verdict<Permitted> {
  const { hash: policySet, dutiesOf } = active
  if (answer.outcome === 'invalid') {
    const why = answer.why?.slice(0, 300)
    logger.warn({ policy_set: policySet, why }, 'policies cannot be asked of this call')
    return refuse('request_invalid')
  }
  const { policies } = answer
  if (answer.outcome === 'error') return refuse('policy_error', { policies })
  if (answer.outcome === 'deny') return refuse('policy_denied', { policies, duties: dutiesOf(policies) })
  const { registry } = projection.ledger
  const owners = levels.map(({ holder }) => registry.instance(holder.agent)?.agent.owner)
  if (!owners.every((owner) => owner !== undefined)) return refuse('agent_revoked')
  return {
    owners: [...new Set(owners)],
    policies: policies.slice(0, mostPolicies),
    wantsHuman: answer.outcome === 'step_up',
    imposed: dutiesOf(answer.permits),
    wanting: dutiesOf(answer.wanting),
  }
}

/** The number of policies that an event has room for. */
const mostPolicies = 64
