import { claimedPlace, delegationId } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { childrenOf, type Holder, judgeLink, type Tree } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'
import type { Client } from '../tokens/authenticate-client.ts'
import { refuseDead, refuseUnlessAlive } from './alive.ts'
import { inTreeLane } from './tree-lane.ts'

/** How far a delegating agent's clock may be ahead. */
const leewayMs = 5000
/** How many delegations of one tree are redeemed, from all makers together: every reader keeps them until the grant has ended (V18). */
const mostOfOneTree = 10_000

export interface Redemption {
  tree: Tree
  /** The delegation as the delegating agent signed it. */
  delegation: string
  /** The sub-agent that proved itself, and the key that it proved. */
  client: Client
  /** Throws if the other parameters of the call forbid redeeming it. */
  judge: (holder: Holder) => unknown
}

/**
 * Redeems a delegation, once. Its id is derived from what its maker signed, so a second event would be void, and a sub-agent that comes
 * again gets the same id. The whole delegation is judged against the current chain before the event is written (V5, V6). Resolves with the
 * id once the event is durable and counts. Throws `delegation_invalid`, `caller_forbidden` for an agent or key other than the one that the
 * delegation names, and what `refuseUnlessAlive` throws.
 */
export async function redeemDelegation(issuer: Issuer, redemption: Redemption): Promise<string> {
  const { tree, delegation, client } = redemption
  // Judged before it may wait: callers that have no part in the tree must not hold up those that have one.
  const { id, known } = judge(issuer, redemption)
  if (known) return id
  const redeem = async () => {
    const { parent, link } = judge(issuer, redemption)
    if (link === undefined) return id
    const { holder } = link
    await issuer.producer.publishOne('grants.v1', {
      type: 'delegation.redeemed',
      subject: id,
      key: tree.id,
      version: tree.version + 1,
      data: {
        delegation_id: id,
        grant_id: tree.id,
        ...(parent === undefined ? {} : { parent }),
        delegation,
        agent: holder.agent,
        instance_key: holder.jkt,
        authority: link.delegation.authorization_details[0] as typeof tree.grant.authority,
        not_after: new Date(holder.expiresAt).toISOString(),
      },
    })
    return id
  }
  return inTreeLane(issuer, tree.id, redeem, client.agent)
}

function judge(issuer: Issuer, { tree, delegation, client, judge: judgeAsk }: Redemption) {
  // One person opens an emergency, and its key authenticates from then on. Nothing but what two people sign may be granted to it.
  if (client.kind === 'emergency')
    throw new ServiceError('caller_forbidden', 'an emergency identity holds no delegation')
  const id = delegationId(delegation)
  const place = claimedPlace(delegation)
  if (id === undefined || place?.grant !== tree.id) throw new ServiceError('delegation_invalid', 'signature')
  const known = tree.delegations.get(id)
  if (known) {
    refuseOther({ agent: known.agent, jkt: known.instance_key }, client)
    return { id, known }
  }
  const parent = place.parentHash === tree.grant.statement_hash ? undefined : `dlg_${place.parentHash}`
  const holders = refuseUnlessAlive(issuer, tree, parent)
  const siblings = childrenOf(tree, holders.at(-1) ?? holders[0])
  const { installation } = issuer.trust
  const link = judgeLink(tree, { holders, siblings, delegation, installation })
  if (!link.ok) throw new ServiceError('delegation_invalid', link.fault)
  const { holder } = link
  refuseOther(holder, client)
  judgeAsk(holder)
  if (!(link.delegation.iat * 1000 <= issuer.clock.now() + leewayMs))
    throw new ServiceError('delegation_invalid', 'not valid yet')
  refuseDead(issuer, tree, [...holders, holder])
  if (tree.delegations.size >= mostOfOneTree) throw new ServiceError('delegation_invalid', 'children')
  return { id, parent, link }
}

function refuseOther({ agent, jkt }: { agent: string; jkt: string }, client: Client): void {
  if (agent !== client.instance || jkt !== client.jkt)
    throw new ServiceError('caller_forbidden', 'the delegation is for another agent, instance or key')
}
