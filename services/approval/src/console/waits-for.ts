import { matchRule, type RuleView } from '@bailiwick/approval-statement'
import { type Approver, agentIdOf, type Rule } from '@bailiwick/contracts'
import { authorityOf } from '../answers/who-may-answer.ts'
import type { Approval } from '../context.ts'
import { changeRule } from '../registry/judge-change.ts'
import type { AccessAsk, RegistryAsk, StepUpAsk } from '../requests.ts'
import { orNothing } from './words.ts'

/** For whom a request waits, as the registry has it when this is made. */
export interface Answerers {
  rule: string | null
  /** Its members answer; null: any approver. */
  group: string | null
  /** The owner of the agent, where the rule lets no owner answer for their own agent. */
  notBy: string | null
}

/**
 * For whom a request waits, by the rules of this view: making one costs time for each agent, and there may be many requests. A request to
 * which no rule applies waits for every approver: any of them may clear it away.
 */
export function answerersOf(
  approval: Approval,
  ask: AccessAsk | RegistryAsk | StepUpAsk,
  view: () => RuleView,
): Answerers {
  if (ask.kind === 'registry') {
    const { group } = changeRule(approval, ask)
    return { rule: group === undefined ? null : 'registry', group: group ?? null, notBy: null }
  }
  const rule = ruleIn(approval, ask, view())
  if (rule === undefined) return { rule: null, group: null, notBy: null }
  const mayOwner = rule.owner_may_approve || approval.trust.single_operator
  const owner = approval.projection.ledger.registry.get('agent', agentIdOf(ask.agent))?.owner ?? null
  return { rule: rule.id, group: rule.approvers.group, notBy: mayOwner ? null : owner }
}

/** For a step-up: the rule of its grant. */
function ruleIn({ projection }: Approval, ask: AccessAsk | StepUpAsk, view: RuleView): Rule | undefined {
  const of = ask.kind === 'access' ? ask : projection.ledger.grants.trees.get(ask.grant_id)?.grant
  const authority = of && orNothing(() => authorityOf(of.authority))
  const matched = authority && matchRule(view, { agent: of.agent, authority })
  return matched?.ok ? matched.rule : undefined
}

/** Whether a request waits for this person: they may answer it, and have not signed it yet. */
export const waitsFor = (
  { group, notBy }: Answerers,
  me: Pick<Approver, 'id' | 'groups'>,
  signedBy: readonly string[],
) => (group === null || me.groups.includes(group)) && notBy !== me.id && !signedBy.includes(me.id)
