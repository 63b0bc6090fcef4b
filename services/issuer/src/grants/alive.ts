import { ServiceError } from '@bailiwick/errors'
import { type End, endOf, type Holders, judgeLife, type Tree } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'

/**
 * The agents for which a credential may be minted now: from the grant's agent down the chain to this delegation, each link verified again.
 * Throws `state_stale`, `grant_not_active` for one that has ended or was revoked, `delegation_invalid` for a chain that does not hold.
 */
export function refuseUnlessAlive(issuer: Issuer, tree: Tree, delegationId?: string): Holders {
  const { projection, clock, trust } = issuer
  if (!projection.fresh()) throw new ServiceError('state_stale')
  const question = { tree, delegationId, installation: trust.installation, now: clock.now() }
  const life = judgeLife(projection.ledger, question)
  if (!life.ok) throw refusalOf(life.end)
  return life.holders
}

/** The same check for a chain whose last link is about to be redeemed. Throws `grant_not_active`. */
export function refuseDead({ projection, clock }: Issuer, tree: Tree, holders: Holders): void {
  const end = endOf(projection.ledger, { tree, holders, now: clock.now() })
  if (end) throw refusalOf(end)
}

const refusalOf = (end: End) =>
  end.why === 'chain'
    ? new ServiceError('delegation_invalid', end.fault)
    : new ServiceError(
        'grant_not_active',
        end.why === 'revoked' ? `${end.by.kind} revoked` : end.why.replaceAll('_', ' '),
      )
