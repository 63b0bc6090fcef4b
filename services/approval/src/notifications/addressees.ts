import type { Approver } from '@bailiwick/contracts'
import type { Approval } from '../context.ts'
import { type AccessAsk, agentIdOf, type RegistryAsk, type StepUpAsk } from '../requests.ts'
import { authorityOf, registryRule, ruleFor, whyNotApprove } from '../who-may-answer.ts'

export type Ask = AccessAsk | RegistryAsk | StepUpAsk

/** Names of the people who could answer this now, sorted; nobody where no rule holds. */
export function whoCouldAnswer(approval: Approval, ask: Ask): string[] {
  const { registry } = approval.projection.ledger
  return namesOf(registry.approvers.filter(mayAnswer(approval, ask)))
}

/** Everybody who is enrolled. */
export const everybody = ({ projection }: Approval): string[] => namesOf(projection.ledger.registry.approvers)

const namesOf = (people: readonly Approver[]) => people.map(({ id }) => id).sort()

function mayAnswer(approval: Approval, ask: Ask): (person: Approver) => boolean {
  const { projection, trust } = approval
  if (ask.kind === 'registry') {
    const { group } = registryRule(approval)
    const others = (person: Approver) => trust.single_operator || person.id !== ask.proposer
    return (person) => others(person) && (group === undefined || person.groups.includes(group))
  }
  if (ask.kind === 'step_up') {
    const rule = projection.ledger.grants.trees.get(ask.grant_id)?.grant.statement.rule
    const owner = projection.ledger.registry.get('agent', agentIdOf(ask.agent))?.owner
    const ownerMay =
      (rule && projection.ledger.registry.get('rule', rule.id)?.owner_may_approve) || trust.single_operator
    return ({ id, groups }) => rule !== undefined && groups.includes(rule.group) && (ownerMay || id !== owner)
  }
  try {
    const rule = ruleFor(approval, ask.agent, authorityOf(ask.authority))
    return (person) => whyNotApprove(approval, person, ask, rule) === undefined
  } catch {
    return () => false // no rule holds any more: nobody can answer
  }
}
