import { claimedPlace, type DpopProof, delegationId, verifyDelegation } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { chainOf, type Tree } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'
import { revokeByAgent } from './revoke.ts'

/**
 * The most unredeemed delegations that one maker may revoke in one tree: an agent can sign as many as it likes, and revocations are kept
 * for ever. Each maker has its own limit, so that none keeps another from taking back (V18).
 */
const mostUnredeemed = 100
const unredeemed = new WeakMap<Tree, Map<string, Set<string>>>()

/**
 * The caller that may end a delegation by its key: its maker, any agent above the maker, or the sub-agent that has it. `signed`: the
 * delegation itself, which its maker may end before it is redeemed. Returns the caller and what ends. Throws `grant_unknown`: for any
 * other key it does not exist.
 */
export function ownDelegation(
  issuer: Issuer,
  { id, signed }: { id: string; signed: string | undefined },
  { jkt }: DpopProof,
): { id: string; tree: Tree; by: string } {
  const { grants } = issuer.projection.ledger
  const redeemed = grants.ofDelegation(id)
  const by = redeemed ? holderOf(issuer, redeemed, id, jkt) : undefined
  if (redeemed && by !== undefined) return { id, tree: redeemed, by }
  const made = redeemed || signed === undefined ? undefined : makerOf(issuer, id, signed, jkt)
  if (made === undefined) throw new ServiceError('grant_unknown')
  return { id, ...made }
}

/** Ends it and all below it. When it resolves, that is durable and counts. Asking again gives the same result. Throws `rate_limited`. */
export async function revokeDelegation(
  issuer: Issuer,
  { id, tree, by }: ReturnType<typeof ownDelegation>,
): Promise<number> {
  const makers = unredeemed.get(tree) ?? new Map<string, Set<string>>()
  unredeemed.set(tree, makers)
  const known = makers.get(by) ?? new Set()
  makers.set(by, known)
  if (!tree.delegations.has(id)) {
    if (known.size >= mostUnredeemed && !known.has(id)) throw new ServiceError('rate_limited')
    known.add(id)
  }
  const { sequence } = await revokeByAgent(issuer, by, { kind: 'delegation', target: id, reason: 'revoked_by_agent' })
  return sequence
}

function holderOf({ projection, trust }: Issuer, tree: Tree, id: string, jkt: string): string | undefined {
  const chain = chainOf(tree, id, trust.installation)
  const holder = chain.ok ? chain.holders.find((each) => each.jkt === jkt) : undefined
  return holder && projection.ledger.registry.instance(holder.agent) ? holder.agent : undefined
}

function makerOf({ projection, trust }: Issuer, id: string, signed: string, jkt: string) {
  if (delegationId(signed) !== id) return undefined
  const { registry, grants } = projection.ledger
  const tree = grants.trees.get(claimedPlace(signed)?.grant ?? '')
  if (tree === undefined) return undefined
  const holders = [{ agent: tree.grant.agent, jkt: tree.grant.instance_key }, ...redeemedBy(tree)]
  const delegator = holders.find((each) => each.jkt === jkt && registry.instance(each.agent))
  if (!delegator) return undefined
  const { installation } = trust
  const verified = verifyDelegation({ delegation: signed, delegator, grant: tree.id, installation })
  return verified.ok ? { tree, by: delegator.agent } : undefined
}

const redeemedBy = ({ delegations }: Tree) =>
  [...delegations.values()].map(({ agent, instance_key: jkt }) => ({ agent, jkt }))
