import { matchRule, type RuleView, registryRuleId } from '@bailiwick/approval-statement'
import type { Authority } from '@bailiwick/authority'
import type { EntityChange } from '@bailiwick/contracts'
import { authorityOf } from '../answers/who-may-answer.ts'
import type { Approval } from '../context.ts'
import { changesOf, type Wanted } from '../registry/propose-change.ts'

/** The entities by which rules match, as they would be in the registry after these changes. */
export function ruleView({ projection }: Approval, changes: readonly EntityChange[] = []): RuleView {
  const { rules, agents, toolServers } = projection.ledger.registry.view()
  const after = { rules: new Map(rules), agents: new Map(agents), toolServers: new Map(toolServers) }
  for (const { type, id, value } of changes) {
    const of = { rule: after.rules, agent: after.agents, 'tool-server': after.toolServers }[type as 'rule']
    if (value === undefined) of?.delete(id)
    else of?.set(id, value as never)
  }
  return after
}

/** Which rule would hold for what an agent could ask, now and after the change that a person prepares. */
export function findRule(
  approval: Approval,
  { agent, authority, entities = [] }: { agent: string; authority: unknown; entities?: readonly unknown[] | undefined },
) {
  const asked = { agent: `${agent}/example`, authority: authorityOf(authority) }
  const changes = changesOf(approval, entities as Wanted[])
  return {
    now: matchedBy(approval, ruleView(approval), asked),
    after: changes.length === 0 ? null : matchedBy(approval, ruleView(approval, changes), asked),
  }
}

function matchedBy({ projection }: Approval, view: RuleView, asked: { agent: string; authority: Authority }) {
  const matched = matchRule(view, asked)
  const inOrder = [...view.rules.values()]
    .filter(({ id }) => id !== registryRuleId)
    .sort((a, b) => a.order - b.order || (a.id < b.id ? -1 : 1))
    .map(({ id }) => id)
  if (!matched.ok)
    return { rule: null, group: null, quorum: null, members: [], why: matched.detail ?? matched.code, tried: inOrder }
  const { id, approvers } = matched.rule
  const members = projection.ledger.registry.approvers.filter(({ groups }) => groups.includes(approvers.group))
  return {
    rule: id,
    group: approvers.group,
    quorum: approvers.quorum,
    members: members.map((person) => ({ id: person.id, name: person.name })),
    why: null,
    tried: inOrder.slice(0, inOrder.indexOf(id)),
  }
}
