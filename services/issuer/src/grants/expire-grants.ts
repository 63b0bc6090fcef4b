import type { Tree } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'
import { inTreeLane } from './tree-lane.ts'

const hourMs = 3600 * 1000

/** Publishes that a grant has ended once its time is up. Readers do not wait for this; they judge by the clock. */
export async function expireGrants(issuer: Issuer): Promise<void> {
  const { ledger } = issuer.projection
  const now = issuer.clock.now()
  for (const tree of ledger.grants.trees.values()) {
    if (!isRunning(tree) || Date.parse(tree.grant.not_after) > now) continue
    await inTreeLane(issuer, tree.id, async () => {
      if (!isRunning(tree)) return // it was completed meanwhile
      await issuer.producer.publishOne('grants.v1', {
        type: 'grant.expired',
        subject: tree.id,
        version: tree.version + 1,
        data: { grant: tree.grant },
      })
    })
  }
  ledger.forgetEndedBefore(now - hourMs)
}

const isRunning = ({ state }: Tree) => state === 'active' || state === 'suspended'
