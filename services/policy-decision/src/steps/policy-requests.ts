import { toolServerOf } from '@bailiwick/approval-statement'
import { firstRoundOf, type SpendView } from '@bailiwick/projection'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import type { Clocked, State } from '../ports.ts'
import type { Continuing } from '../rounds/rounds.ts'
import type { PolicyQuestion } from '../shadow/policy-question.ts'
import { historyOf } from '../state/history.ts'
import type { Levels } from './authority.ts'
import type { Proved } from './proof.ts'
import type { Approved, Recorded } from './recorded.ts'

/** The facts that policies are shown. */
export type PolicyFacts = Pick<Recorded, 'tree'> &
  Pick<Approved, 'approverIds'> &
  Pick<Proved, 'proof'> &
  Partial<Continuing> & { request: EvaluationRequest; levels: Levels; view: SpendView }

/** One request for each agent of the chain. Stops before the first agent that the registry no longer knows. */
export function policyRequests(
  { request, proof, tree, approverIds, levels, view, continues }: PolicyFacts,
  labels: string[],
  { projection, clock }: Pick<State, 'projection'> & Pick<Clocked, 'clock'>,
): PolicyQuestion['requests'] {
  const { registry, decisions } = projection.ledger
  const { grant } = tree
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
      approvers: approverIds.length,
      seconds_left: Math.floor((Date.parse(grant.not_after) - now) / 1000),
    },
    proof,
    time: { hour: time.getUTCHours(), weekday: time.getUTCDay() },
  }
  const own = continues && firstRoundOf(view, continues.decisionId)
  const soFar = { decisions, root: tree.id, tree: view, depth: levels.length - 1, now, own }
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
