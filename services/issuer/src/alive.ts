import { ServiceError } from '@bailiwick/errors'
import { chainOf, type Holders, lineageOf, type Tree } from '@bailiwick/projection'
import type { Issuer } from './context.ts'

/**
 * Whoever may be minted for now: from the agent whose grant it is down the chain to this delegation, each link verified once more. Throws
 * `state_stale`, `grant_not_active` for what is over or revoked, `delegation_invalid` for a chain that does not hold.
 */
export function refuseUnlessAlive(issuer: Issuer, tree: Tree, delegationId?: string): Holders {
  const { grant } = tree
  const now = issuer.clock.now()
  if (!issuer.projection.fresh()) throw new ServiceError('state_stale')
  if (tree.state !== 'active') throw new ServiceError('grant_not_active', tree.state)
  if (Date.parse(grant.not_before) > now || Date.parse(grant.not_after) <= now)
    throw new ServiceError('grant_not_active', 'outside its time')
  const chain = chainOf(tree, delegationId, issuer.trust.installation)
  if (!chain.ok) throw new ServiceError('delegation_invalid', chain.fault)
  refuseDead(issuer, tree, chain.holders)
  return chain.holders
}

/** Throws `grant_not_active` when one of these has expired, is no longer registered or was revoked. */
export function refuseDead({ projection, clock }: Issuer, { grant }: Tree, holders: Holders): void {
  const now = clock.now()
  const { registry, revocations } = projection.ledger
  if (!holders.every(({ expiresAt }) => now < expiresAt)) throw new ServiceError('grant_not_active', 'expired')
  // The agent of the grant by itself proved just now who it is, or is about to be moved to.
  if (holders.length > 1 && !holders.every(({ agent }) => registry.instance(agent)))
    throw new ServiceError('grant_not_active', 'an agent is no longer registered')
  const approvers = grant.assertions.map(({ credential_id }) => registry.passkey(credential_id)?.approver.id ?? '')
  const dead = revocations.kills(lineageOf(grant, approvers, { holders }))
  if (dead) throw new ServiceError('grant_not_active', 'revoked')
}
