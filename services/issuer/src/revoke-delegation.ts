import { type DpopProof, delegationId, verifyDelegation } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { chainOf, type Tree } from '@bailiwick/projection'
import type { Issuer } from './context.ts'
import { revoke } from './revoke.ts'

/** Of one tree, never redeemed: an agent can sign as many as it likes, and what is revoked is kept for ever. */
const mostUnredeemed = 100
const unredeemed = new WeakMap<Tree, Set<string>>()

/**
 * Whoever may end a delegation by its key: it that made it, any agent above it, and the sub-agent that has it. `signed`: the delegation
 * itself, which its maker may end before anybody redeemed it. Gives who it is and what ends. Throws `grant_unknown`: to every other key there is none.
 */
export function ownDelegation(
  issuer: Issuer,
  { id, signed }: { id: string; signed: string | undefined },
  { jkt }: DpopProof,
): { id: string; tree: Tree; by: string } {
  const { trees } = issuer.projection.ledger.grants
  const redeemed = [...trees.values()].find(({ delegations }) => delegations.has(id))
  const by = redeemed ? holderOf(issuer, redeemed, id, jkt) : undefined
  if (redeemed && by !== undefined) return { id, tree: redeemed, by }
  const made = redeemed || signed === undefined ? undefined : makerOf(issuer, id, signed, jkt)
  if (made === undefined) throw new ServiceError('grant_unknown')
  return { id, ...made }
}

/** Ends it and all below it: when it resolves, that is durable and counts. Asking again gives the same. Throws `rate_limited`. */
export async function revokeDelegation(
  issuer: Issuer,
  { id, tree, by }: ReturnType<typeof ownDelegation>,
): Promise<number> {
  const known = unredeemed.get(tree) ?? new Set()
  unredeemed.set(tree, known)
  if (!tree.delegations.has(id)) {
    if (known.size >= mostUnredeemed && !known.has(id)) throw new ServiceError('rate_limited')
    known.add(id)
  }
  const { sequence } = await revoke(issuer, {
    kind: 'delegation',
    target: id,
    reason: 'revoked_by_agent',
    by: { kind: 'agent', id: by },
  })
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
  for (const tree of grants.trees.values()) {
    const holders = [{ agent: tree.grant.agent, jkt: tree.grant.instance_key }, ...redeemedBy(tree)]
    const delegator = holders.find((each) => each.jkt === jkt && registry.instance(each.agent))
    if (!delegator) continue
    const { installation } = trust
    const verified = verifyDelegation({ delegation: signed, delegator, grant: tree.id, installation })
    if (verified.ok) return { tree, by: delegator.agent }
  }
  return undefined
}

const redeemedBy = ({ delegations }: Tree) =>
  [...delegations.values()].map(({ agent, instance_key: jkt }) => ({ agent, jkt }))
