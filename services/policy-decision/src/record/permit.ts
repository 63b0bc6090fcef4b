import { signPermit } from '@bailiwick/credentials'
import type { Clocked, Signing, State } from '../ports.ts'
import type { Allow, Permitted } from './allowed-event.ts'

const permitSeconds = 5

/** The permit of an ALLOW that counts: single use, for this digest, within seconds. */
export function permitOf(
  { decisionId, point, digest, tree }: Pick<Permitted, 'decisionId' | 'point' | 'digest' | 'tree'>,
  { call, obligations }: Pick<Allow, 'call' | 'obligations'>,
  { clock, publicUrl, permitKey }: Pick<Clocked, 'clock'> & Pick<State, 'publicUrl'> & Pick<Signing, 'permitKey'>,
): { permit: string; permitEndsAt: number } {
  const iat = Math.floor(clock.now() / 1000)
  const exp = iat + permitSeconds
  const permit = signPermit(
    {
      iss: publicUrl,
      aud: point.id,
      ...(point.instance === undefined ? {} : { instance: point.instance }),
      jti: decisionId,
      iat,
      exp,
      action_digest: digest,
      ...(call === undefined ? {} : { action_salt: call.salt }),
      grant: tree.grant.id,
      ...(obligations.length === 0 ? {} : { obligations: [...obligations] }),
    },
    permitKey,
  )
  return { permit, permitEndsAt: exp * 1000 }
}
