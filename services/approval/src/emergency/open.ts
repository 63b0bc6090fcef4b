import { beyondEmergency, emergencyInstance } from '@bailiwick/approval-statement'
import type { Agent, Approver, Attestation, PublicJwk } from '@bailiwick/contracts'
import { thumbprint } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Ask, Submission } from '../asks/ask.ts'
import type { Approval } from '../context.ts'

/**
 * The key that an emergency is opened for. Only the person whose identity it is can open one, signed in with a passkey: an agent, and a
 * stranger who knows the identity's name, get `emergency_at_console` and no approver is notified.
 */
export function openersKey(agent: Agent, instance: string, emergency: Submission['emergency']): PublicJwk {
  if (emergency === undefined || emergency.by.id !== agent.owner) throw new ServiceError('emergency_at_console')
  if (instance !== emergencyInstance(agent.id, thumbprint(emergency.jwk)))
    throw new ServiceError('key_unknown', 'the instance of an emergency is named by its key')
  return emergency.jwk
}

/** The key counts because a person who is signed in brought it. It can do nothing until two people have signed for it. */
export function attestedByPerson(jwk: PublicJwk, now: number): Attestation {
  return { kind: 'emergency', jwk, attested_at: new Date(now).toISOString() }
}

/** Refuses early what issuer and decision points would refuse: people should not be alarmed for it. */
export function refuseOutsideEmergency(
  { trust }: Pick<Approval, 'trust'>,
  by: Approver,
  { agent, instanceKey, asked, items }: Omit<Ask, 'attestation'>,
): void {
  const no = (detail: string) => new ServiceError('emergency_refused', detail)
  if (asked.grant_id !== undefined) throw no('grant_id: nothing is added to the grant of an emergency')
  if (asked.not_before !== undefined) throw no('not_before: an emergency begins when it is opened')
  if (asked.purpose === undefined) throw no('purpose: say why')
  const [item, ...others] = items
  if (item === undefined || others.length > 0) throw no('authority: one rule for emergencies must hold for all of it')
  const { rule, authority } = item
  if (!by.groups.includes(rule.approvers.group)) throw new ServiceError('approver_not_in_group')
  const wanted = { mode: asked.mode, rebind: asked.rebind ?? 'none', agent: asked.sub, instance_key: instanceKey }
  const problem = beyondEmergency(wanted, { authority, agent, rule, trust })
  if (problem !== undefined) throw new ServiceError(problem.code, problem.detail)
}
