import { mayDelegateTo, narrows, parseAuthority } from '@bailiwick/authority'
import { parseStrictJson } from '@bailiwick/contracts'
import {
  type Delegation,
  delegationId,
  encodeBase64url,
  type PublicJwk,
  parsePublicJwk,
  type SigningKey,
  signDelegation,
  thumbprint,
} from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import type { Credential, Credentials, GrantName } from './credentials.ts'

/** The part that an agent passes on, from its own grant or from a delegation that it redeemed. */
export interface DelegationAsk {
  of: GrantName
  /** The sub-agent's instance: `<agent id>/<instance>`. */
  to: string
  /** The key that the sub-agent will act with: its thumbprint (RFC 7638), or the public key itself. */
  key: string | PublicJwk
  /** A `bailiwick_task` that narrows what is passed on: the same task, nothing beyond it, budgets within its own. */
  authority: unknown
  /** ms since the epoch; never after the end of what is passed on. */
  expiresAt: number
  /** The APIs that credentials under it may be used for; if left out, those of what is passed on. */
  resources?: readonly [string, ...string[]]
}

/** A delegation, for its sub-agent to redeem: useless without the sub-agent's key. */
export interface SignedDelegation {
  /** `dlg_…`, used to revoke it. */
  id: string
  delegation: string
}

interface Delegating {
  id: string
  key: SigningKey<'agent'>
  installation: string
  credential: Pick<Credentials, 'get'>
  now: () => number
  random: (n: number) => Uint8Array
}

const claimsSchema = z.object({
  grant: z.object({
    id: z.string(),
    statement_hash: z.string(),
    as_of: z.int(),
    delegation: z.string().startsWith('dlg_').optional(),
  }),
})

/**
 * Passes on a part of this agent's rights (DESIGN §7.3), signed with its own key. No approver is asked, because no one gets more than was
 * approved. The issuer and every decision point judge it again. Throws `delegation_invalid` for what they would refuse, and
 * `request_malformed` for what a delegation cannot express, including a life over 8 h.
 */
export async function delegate(delegating: Delegating, ask: DelegationAsk): Promise<SignedDelegation> {
  const { id, key, installation, now, random } = delegating
  const own = await delegating.credential.get(ask.of)
  const { grant } = claimsOf(own)
  const iat = Math.floor(now() / 1000)
  const exp = Math.floor(ask.expiresAt / 1000)
  if (own.grantExpiresAt !== undefined && exp * 1000 > own.grantExpiresAt)
    throw new ServiceError(
      'delegation_invalid',
      `expiry: it ends ${iso(own.grantExpiresAt)}, before ${iso(exp * 1000)}`,
    )
  const delegation = signed(
    {
      iss: id,
      sub: ask.to,
      aud: installation,
      iat,
      exp,
      jti: encodeBase64url(random(16)),
      cnf: { jkt: thumbprintOf(ask.key) },
      grant: grant.id,
      as_of: grant.as_of,
      parent_hash: grant.delegation?.slice('dlg_'.length) ?? grant.statement_hash,
      authorization_details: [{ ...narrowed(ask, own.authorizationDetails) }],
      ...(ask.resources === undefined ? {} : { resources: [...ask.resources] }),
    },
    key,
  )
  return { id: delegationId(delegation) ?? '', delegation }
}

const iso = (ms: number) => new Date(ms).toISOString()

function signed(claims: Delegation, key: SigningKey<'agent'>): string {
  try {
    return signDelegation(claims, key)
  } catch (error) {
    if (errorCode(error) !== 'invariant_broken') throw error
    throw new ServiceError('request_malformed', 'to, key, expiresAt or resources', { cause: error })
  }
}

function narrowed({ authority, to }: DelegationAsk, [details]: readonly unknown[]) {
  const child = parseAuthority(authority)
  if (!child.ok) throw new ServiceError(child.code, child.detail)
  const parent = parseAuthority(details)
  if (!parent.ok) throw new ServiceError('answer_malformed', 'the credential says no authority')
  const narrowing = narrows(child.authority, parent.authority)
  if (!narrowing.narrower) throw new ServiceError('delegation_invalid', `${narrowing.path}: ${narrowing.why}`)
  if (parent.authority.max_depth === 0 || parent.authority.max_children === 0)
    throw new ServiceError('delegation_invalid', 'what is passed on may not be passed on')
  if (!mayDelegateTo(parent.authority, to))
    throw new ServiceError('delegation_invalid', '/delegates: the agent is not listed in what is passed on')
  return child.authority
}

function thumbprintOf(key: string | PublicJwk): string {
  if (typeof key === 'string') return key
  const jwk = parsePublicJwk(key)
  if (jwk === undefined) throw new ServiceError('request_malformed', 'key: not a public key')
  return thumbprint(jwk)
}

/** Our own credential, from the issuer: parsed, not verified. */
function claimsOf({ token }: Credential): z.infer<typeof claimsSchema> {
  try {
    return claimsSchema.parse(parseStrictJson(Buffer.from(token.split('.')[1] ?? '', 'base64url')))
  } catch {
    throw new ServiceError('answer_malformed', 'the credential says no grant')
  }
}
