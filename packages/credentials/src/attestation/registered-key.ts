import type { Agent } from '@bailiwick/contracts'
import { verifyClientAssertion } from '../client-assertion.ts'
import { type PublicJwk, thumbprint } from '../jwk.ts'
import { claimedIssuer } from '../jws.ts'
import { verifyingKey } from '../keys.ts'
import { refused } from '../verified.ts'
import type { Attestor } from './attestor.ts'
import { instanceOf, nameIn } from './instance-name.ts'

const leewayMs = 5000

/** The key that the registry holds for `<agent id>/<instance>`; undefined for every other attestor. */
export function registeredKey(agent: Agent, instance: string): PublicJwk | undefined {
  if (agent.attestor.kind !== 'registered_key') return undefined
  const name = nameIn(agent.id, instance)
  return agent.attestor.keys.find((key) => key.instance === name)?.jwk
}

/**
 * For keys that are known beforehand, from the registry or because an emergency was opened for them: the token is a `private_key_jwt` (RFC
 * 7523 §2.2) by the presented key, and counts once.
 */
export function registeredKeyAttestor(): Attestor {
  return {
    async attest(token, { agent, audiences, now, key, openedFor }) {
      const claimed = claimedIssuer(token)
      const instance = claimed === undefined ? undefined : instanceOf(agent.id, nameIn(agent.id, claimed))
      const { kind } = agent.attestor
      const jwk = instance === undefined ? undefined : kind === 'emergency' ? openedFor : registeredKey(agent, instance)
      const registered = jwk && verifyingKey('agent', jwk)
      if (instance === undefined || jwk === undefined || registered === undefined)
        return refused('key_unknown', 'registered key: no such instance')
      const verified = verifyClientAssertion({
        assertion: token,
        key: registered,
        clientId: instance,
        audiences,
        now,
        leewayMs,
      })
      if (!verified.ok) return verified
      if (thumbprint(jwk) !== key) return refused('token_replayed', 'registered key: shown with another key')
      const { jti, exp, iat } = verified.value
      return {
        ok: true,
        agent: agent.id,
        instance,
        kind,
        tokenHash: undefined,
        expiresAt: exp * 1000 + leewayMs,
        once: { jti, exp, iat },
      }
    },
  }
}
