import type { Tree } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'
import { inTreeLane } from './tree-lane.ts'

const because = 'manifest_changed'

/**
 * A tool is approved as its server's manifest described it at that time. A grant that names a manifest other than the registry's current
 * one is suspended: no credential is minted for it. It is resumed when the approved manifest is back. Decision points check manifests
 * themselves, and do not wait for this.
 */
export async function settleManifests(issuer: Issuer): Promise<void> {
  for (const tree of issuer.projection.ledger.grants.trees.values())
    await inTreeLane(issuer, tree.id, () => settle(issuer, tree))
}

async function settle({ projection, producer, logger }: Issuer, tree: Tree): Promise<void> {
  const { registry } = projection.ledger
  const { grant, state, version, cause } = tree
  const changed = Object.entries(grant.statement.manifests).filter(
    ([server, manifest]) => registry.get('tool-server', server)?.manifest !== manifest,
  )
  const suspends = state === 'active' && changed.length > 0
  const resumes = state === 'suspended' && cause === because && changed.length === 0
  if (!suspends && !resumes) return
  const type = suspends ? 'grant.suspended' : 'grant.resumed'
  logger.warn({ grant: tree.id, servers: changed.map(([server]) => server) }, `${type}: ${because}`)
  await producer.publishOne('grants.v1', {
    type,
    subject: tree.id,
    version: version + 1,
    data: { grant, cause: because },
  })
}
