import type { Agent, Attestation } from '@bailiwick/contracts'
import { type PublicJwk, parsePublicJwk, type Refused, thumbprint } from '@bailiwick/credentials'
import { registeredKey } from '@bailiwick/credentials/attestation'
import { emergencyInstance } from './emergency.ts'
import { refused } from './refused.ts'

/**
 * Returns the key with which every reader verifies an agent's request. It is the registered key. If the registry holds none, it is the key
 * that the approval service says the workload attested. Only the approval service makes that claim, so it binds nothing yet: the issuer
 * attests the same instance and key itself before it issues a credential. Never throws.
 */
export function askingKey(
  agent: Agent,
  ask: { agent: string; instance_key: string; attestation?: Attestation | undefined },
): { ok: true; jwk: PublicJwk } | Refused {
  const { kind } = agent.attestor
  const shown = ask.attestation
  if (shown !== undefined && shown.kind !== kind)
    return refused('agent_unknown', 'attested in another way than registered')
  const jwk = kind === 'registered_key' ? registeredKey(agent, ask.agent) : parsePublicJwk(shown?.jwk)
  if (jwk === undefined) return refused('agent_unknown', 'no key of the instance is known')
  if (kind === 'emergency' && ask.agent !== emergencyInstance(agent.id, thumbprint(jwk)))
    return refused('key_unknown', 'the instance of an emergency is named by its key')
  return thumbprint(jwk) === ask.instance_key
    ? { ok: true, jwk }
    : refused('key_unknown', 'the key of another instance')
}
