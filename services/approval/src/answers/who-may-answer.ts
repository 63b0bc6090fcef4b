import { matchRule, onlyObjects, registryRuleId } from '@bailiwick/approval-statement'
import { type Authority, parseAuthority } from '@bailiwick/authority'
import { type Approver, agentIdOf, type Rule } from '@bailiwick/contracts'
import { type ErrorCode, ServiceError } from '@bailiwick/errors'
import { whyBlind } from '../asks/arguments.ts'
import type { Approval } from '../context.ts'
import type { AccessAsk, RegistryAsk, StepUpAsk } from '../requests.ts'

/** The authority of an event, which was parsed when it was received. Throws if it can no longer be parsed. */
export function authorityOf(value: unknown): Authority {
  const parsed = parseAuthority(value)
  if (!parsed.ok) throw new ServiceError(parsed.code, parsed.detail)
  return parsed.authority
}

/** The rule that currently applies to this much of what an agent asked. Throws `approval_rule_missing`. */
export function ruleFor({ projection }: Approval, agent: string, authority: Authority): Rule {
  const matched = matchRule(projection.ledger.registry.view(), { agent, authority })
  if (!matched.ok) throw new ServiceError(matched.code, matched.detail)
  return matched.rule
}

/** Why this person may not approve under this rule, so that people do not sign in vain. Issuer and PDP judge it again. */
export function whyNotApprove(
  approval: Approval,
  me: Approver,
  ask: AccessAsk | StepUpAsk,
  rule: Rule,
): ErrorCode | undefined {
  const { projection, trust } = approval
  const { agent } = ask
  const blind = whyBlind(approval, ask, rule)
  if (blind !== undefined) return blind
  if (!me.groups.includes(rule.approvers.group)) return 'approver_not_in_group'
  const owner = projection.ledger.registry.get('agent', agentIdOf(agent))?.owner
  return me.id === owner && !rule.owner_may_approve && rule.emergency === undefined && !trust.single_operator
    ? 'approver_is_owner'
    : undefined
}

/** People who may say yes may also say no, and so may the agent's owner. */
export function mayRefuse(approval: Approval, me: Approver, ask: AccessAsk): boolean {
  const { registry } = approval.projection.ledger
  if (registry.get('agent', agentIdOf(ask.agent))?.owner === me.id) return true
  const matched = matchRule(registry.view(), { agent: ask.agent, authority: authorityOf(ask.authority) })
  // Without a rule the ask cannot be approved; any enrolled approver may then clear it away.
  return !matched.ok || me.groups.includes(matched.rule.approvers.group)
}

/** The signers that a registry change needs if no rule asks for more. */
export const anyOne: { group: string | undefined; quorum: number } = { group: undefined, quorum: 1 }

/** The group and quorum for registry changes. Without a rule: any one approver. */
export function registryRule({ projection }: Approval): typeof anyOne {
  const rule = projection.ledger.registry.get('rule', registryRuleId)
  return rule?.approvers ?? anyOne
}

/** As `whyNotApprove`, for a registry change. */
export function whyNotApproveChange(approval: Approval, me: Approver, ask: RegistryAsk): ErrorCode | undefined {
  const { group } = onlyObjects(ask.entities) ? anyOne : registryRule(approval)
  return group === undefined || me.groups.includes(group) ? undefined : 'approver_not_in_group'
}
