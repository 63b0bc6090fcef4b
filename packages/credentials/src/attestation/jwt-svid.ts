import { sha256 } from '../base64url.ts'
import { refused } from '../verified.ts'
import type { Attestor } from './attestor.ts'
import { instanceOf, nameIn } from './instance-name.ts'
import type { KeySource } from './key-source.ts'
import { OneKeyEach } from './one-key-each.ts'
import { verifyWorkloadToken } from './workload-token.ts'

/** In a trust bundle each key states its use (SPIFFE JWT-SVID §5.2); X.509 authorities sign no tokens. */
export const svidUses = ['jwt-svid'] as const

/**
 * SPIFFE JWT-SVID. `sub` is the instance, `<agent id>/<instance>`, so it belongs to the agent's own trust domain. The key is from the
 * bundle that the agent's registration names. The audience is ours alone.
 */
export function jwtSvidAttestor(keys: KeySource): Attestor {
  const shown = new OneKeyEach()
  return {
    async attest(token, { agent, audiences, now, key }) {
      const find = (kid: string) => keys.find(kid)
      const verified = await verifyWorkloadToken(token, { find, typs: ['JWT', 'JOSE', undefined], audiences, now })
      if (!verified.ok) return verified
      const { sub, exp } = verified.value
      const instance = instanceOf(agent.id, nameIn(agent.id, sub))
      if (instance === undefined || instance !== sub) return refused('key_unknown', 'jwt-svid: of another agent')
      const expiresAt = exp * 1000
      const tokenHash = sha256(token)
      if (!shown.with(token, key, expiresAt, now)) return refused('token_replayed', 'jwt-svid: shown with another key')
      return { ok: true, agent: agent.id, instance, kind: 'jwt_svid', tokenHash, expiresAt, once: undefined }
    },
  }
}
