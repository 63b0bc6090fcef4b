import { type Authority, parseAuthority } from '@bailiwick/authority'
import { ServiceError } from '@bailiwick/errors'
import type { Agent } from '../agent.ts'

/** A grant that exists already, and what it allows. */
export interface StandingGrant {
  readonly grantId: string
  readonly authority: Authority
  /** ms since the epoch; undefined if the issuer did not say. It ends then unless it was ended earlier. */
  readonly expiresAt?: number | undefined
}

const waitMs = 10_000

/**
 * Reads what a grant allows, from its credential. It decides nothing: of several grants it finds the one for a call. Throws
 * `answer_malformed` for an authority that this program does not understand, and the errors of `Agent.credential`.
 */
export async function standingGrant(agent: Pick<Agent, 'credential'>, grantId: string): Promise<StandingGrant> {
  const { authorizationDetails, grantExpiresAt } = await agent.credential(
    { grantId },
    { wait: AbortSignal.timeout(waitMs) },
  )
  const parsed = parseAuthority(authorizationDetails[0])
  if (!parsed.ok) throw new ServiceError('answer_malformed', `the authority of a grant: ${parsed.detail}`)
  return { grantId, authority: parsed.authority, expiresAt: grantExpiresAt }
}

/** Whether a grant has a permission for something of an entry of the gateway. An API without operations has no name in a permission. */
export function isForEntry(
  { authority }: StandingGrant,
  kind: 'http' | 'git' | 'ssh' | 'postgres' | 'session' | 'models',
  name: string,
): boolean {
  return authority.permissions.some(({ resource: { type, id = '' } }) =>
    type === 'api' ? kind === 'http' : id.startsWith(`${name}/`) && (type === 'model') === (kind === 'models'),
  )
}
