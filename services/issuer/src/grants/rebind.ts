import { agentIdOf, type Grant } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { approversOf, lineageOf, type Tree } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'

/**
 * Moves a grant to another instance or key of the same agent, newly attested, if the humans signed `rebind: attested` (DESIGN §7.2).
 * After `grant.rebound` every credential that the old key confirms is dead at every PDP. Resolves when the event is durable and counts. If
 * the process is killed before, nothing has happened; if after, the new key finds its grant. If a former holder is revoked meanwhile, the
 * grant is dead wherever it went (V7). Call it in the tree's lane, for a grant that was found alive a moment ago. Throws
 * `caller_forbidden` if the grant may not move.
 */
export async function rebind(issuer: Issuer, tree: Tree, to: { agent: string; jkt: string }): Promise<void> {
  const { grant } = tree
  if (grant.statement.rebind !== 'attested' || agentIdOf(grant.agent) !== agentIdOf(to.agent))
    throw new ServiceError('caller_forbidden', 'the grant belongs to another agent, instance or key')
  const rebound: Grant = { ...grant, agent: to.agent, instance_key: to.jkt }
  const { registry, revocations } = issuer.projection.ledger
  const moved = { grant: rebound, heldBefore: [...tree.heldBefore, grant] }
  if (revocations.kills(lineageOf(moved, approversOf(registry, tree) ?? [])))
    throw new ServiceError('grant_not_active', 'revoked')
  await issuer.producer.publishOne('grants.v1', {
    type: 'grant.rebound',
    subject: grant.id,
    key: tree.id,
    version: tree.version + 1,
    data: { grant: rebound, cause: 'newly attested' },
  })
}
