import { type Approver, agentIdOf } from '@bailiwick/contracts'
import { stepUpRule } from '../answers/answer-step-up.ts'
import { authorityOf, ruleFor, whyNotApprove } from '../answers/who-may-answer.ts'
import type { Approval } from '../context.ts'
import { changeRule } from '../registry/judge-change.ts'
import type { AccessAsk, RegistryAsk, StepUpAsk } from '../requests.ts'

export type Ask = AccessAsk | RegistryAsk | StepUpAsk

/** Names of the people who could answer this now, sorted; empty if no rule applies. */
export function whoCouldAnswer(approval: Approval, ask: Ask): string[] {
  const { registry } = approval.projection.ledger
  return namesOf(registry.approvers.filter(mayAnswer(approval, ask)))
}

/** The asker that shares people's attention: an agent with all its instances. A registry change's named proposer is not proved. */
export const askerOf = (ask: Ask): string => (ask.kind === 'registry' ? 'registry' : agentIdOf(ask.agent))

/** All enrolled approvers. */
export const allApprovers = ({ projection }: Approval): string[] => namesOf(projection.ledger.registry.approvers)

const namesOf = (people: readonly Approver[]) => people.map(({ id }) => id).sort()

function mayAnswer(approval: Approval, ask: Ask): (person: Approver) => boolean {
  if (ask.kind === 'registry') {
    const { group } = changeRule(approval, ask)
    return (person) => group === undefined || person.groups.includes(group)
  }
  try {
    if (ask.kind === 'step_up') {
      const rule = stepUpRule(approval, ask)
      return (person) => whyNotApprove(approval, person, ask, rule) === undefined
    }
    const rule = ruleFor(approval, ask.agent, authorityOf(ask.authority))
    return (person) => whyNotApprove(approval, person, ask, rule) === undefined
  } catch {
    return () => false // no rule applies any more, so it cannot be answered
  }
}
