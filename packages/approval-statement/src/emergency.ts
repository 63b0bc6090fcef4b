import { type Authority, narrows, parseAuthority } from '@bailiwick/authority'
import type { Agent, ApprovalStatement, Approver, Rule } from '@bailiwick/contracts'
import type { Refused } from '@bailiwick/credentials'
import { refused } from './refused.ts'
import type { ApprovalTrust } from './verify-signers.ts'

/**
 * How long an emergency lasts at most, from when its statement was rendered. A rule may say less. Issuer, decision points and verifiers
 * each apply it, so that no rule, service or signer can make it longer.
 */
export const longestEmergencyMs = 15 * 60 * 1000

/** An emergency takes two people. A rule can ask for more. */
const fewestPeople = 2

/** Whether this is the emergency identity of a person. The registry alone says so: neither a request nor a statement can. */
export const isEmergency = ({ attestor }: Pick<Agent, 'attestor'>): boolean => attestor.kind === 'emergency'

/** The instance for a key, named by its thumbprint: two people who sign the instance's name sign the key. */
export const emergencyInstance = (agentId: string, jkt: string): string => `${agentId}/${jkt}`

/** A statement says that it is for an emergency exactly if its rule is one for emergencies, and stays within what that rule allows. */
export function emergencyProblem(
  statement: ApprovalStatement,
  grounds: EmergencyGrounds & { trust: Pick<ApprovalTrust, 'single_operator'> },
): Refused | undefined {
  const isOne = grounds.rule.emergency !== undefined
  if (isOne !== (statement.emergency === true))
    return refused('emergency_refused', `emergency: rule ${grounds.rule.id} ${isOne ? 'is' : 'is not'} for emergencies`)
  return isOne ? beyondEmergency(statement, grounds) : undefined
}

interface EmergencyGrounds {
  /** The authority that the grant would have, parsed. */
  authority: Authority
  agent: Pick<Agent, 'id'>
  rule: Rule
}

/**
 * Refuses a request or a statement that exceeds an emergency. An emergency bypasses no revocation, no budget and no proof of the key: each is
 * checked as for any grant.
 */
export function beyondEmergency(
  {
    mode,
    rebind,
    agent: instance,
    instance_key,
  }: Pick<ApprovalStatement, 'mode' | 'rebind' | 'agent' | 'instance_key'>,
  { authority, agent, rule, trust }: EmergencyGrounds & { trust: Pick<ApprovalTrust, 'single_operator'> },
): Refused | undefined {
  const no = (detail: string) => refused('emergency_refused', detail)
  // One person could enrol the second one.
  if (trust.single_operator) return no('an installation with a single operator has no emergencies')
  if (mode !== 'window') return no('mode: an emergency is a window')
  if (rebind !== 'none') return no('rebind: an emergency stays at its key')
  if (instance !== emergencyInstance(agent.id, instance_key)) return no('agent: the instance is not named by its key')
  if (authority.max_depth > 0) return no('max_depth: nothing of an emergency can be delegated')
  const ceiling = ceilingOf(rule, authority.task)
  if (ceiling === undefined) return no('the ceiling of the rule cannot be read')
  const narrowing = narrows(authority, ceiling)
  return narrowing.narrower ? undefined : no(`${narrowing.path}: beyond the ceiling of rule ${rule.id}`)
}

/** At least two people of the group, and the person who acts is one of them: two others cannot open an emergency in that person's name. */
export function signersOfEmergencyProblem(
  { owner }: Pick<Agent, 'owner'>,
  { approvers: { quorum } }: Rule,
  people: readonly Approver[],
): Refused | undefined {
  const needed = Math.max(fewestPeople, quorum)
  if (people.length < needed) return refused('approval_quorum_missing', `${people.length} of ${needed}`)
  return people.some(({ id }) => id === owner)
    ? undefined
    : refused('approval_quorum_missing', 'the person who acts has not signed')
}

/** A rule for emergencies that asks for less than the code does would mislead the people who read it. */
export function ceilingProblem(rule: Rule): Refused | undefined {
  if (rule.emergency === undefined) return undefined
  const no = (detail: string) => refused('registry_change_refused', `value: ${detail}`)
  if (rule.approvers.quorum < fewestPeople) return no('an emergency takes two people')
  if (rule.max_window_seconds * 1000 > longestEmergencyMs) return no('an emergency lasts at most 15 minutes')
  if (rule.modes.some((mode) => mode !== 'window')) return no('an emergency is a window')
  const ceiling = ceilingOf(rule, 'emergency')
  if (ceiling === undefined) return no('emergency: not permissions and a budget')
  return ceiling.budget.calls === undefined ? no('emergency: the budget has no number of calls') : undefined
}

/** The most that a rule lets an emergency have, as an authority for this task; undefined if it cannot be read. */
function ceilingOf({ emergency }: Rule, task: string): Authority | undefined {
  const parsed = parseAuthority({ type: 'bailiwick_task', task, ...emergency })
  return parsed.ok ? parsed.authority : undefined
}
