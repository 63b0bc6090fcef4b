import type { DpopProof } from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import type { Tree } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'
import { inTreeLane } from './tree-lane.ts'

const tries = 3

/**
 * Records that a grant's task is done. When it resolves, `grant.completed` is durable and counts. From then on no credential is minted for
 * the grant, and every decision point denies what it, and everything below it, still holds. Asking again gives the same result. Throws
 * `grant_unknown`; `grant_not_active` for a grant that ended otherwise.
 */
export async function complete(issuer: Issuer, grantId: string, cause: string): Promise<Tree> {
  const tree = issuer.projection.ledger.grants.trees.get(grantId)
  if (tree === undefined) throw new ServiceError('grant_unknown')
  await inTreeLane(issuer, tree.id, async () => {
    for (let attempt = 1; tree.state !== 'completed'; attempt++) {
      if (tree.state === 'expired') throw new ServiceError('grant_not_active', 'it is expired')
      try {
        await issuer.producer.publishOne('grants.v1', {
          type: 'grant.completed',
          subject: tree.id,
          version: tree.version + 1,
          data: { grant: tree.grant, cause },
        })
      } catch (error) {
        if (errorCode(error) !== 'state_contended' || attempt === tries) throw error
      }
    }
  })
  return tree
}

/**
 * The grant that this key may end: named by its id or by the request that it came from, and bound to the key. For any other key, and for
 * a key that is no longer registered, the grant does not exist.
 */
export function ownTree({ projection }: Issuer, name: string, { jkt }: DpopProof): Tree {
  const { grants, registry } = projection.ledger
  const tree = grants.trees.get(name) ?? grants.byRequest(name)
  if (tree?.grant.instance_key !== jkt || !registry.instance(tree.grant.agent)) throw new ServiceError('grant_unknown')
  return tree
}
