import type { Environment, ExpiryKey } from './environment.ts'
import type { TreeRecord } from './tree-record.ts'

/** How long things are kept after their expiry: longer than the clocks of two instances may differ. */
const GRACE_MS = 60_000

/**
 * Forgets things that expired more than `GRACE_MS` ago, oldest first, at most `limit` entries, so that one call stays short.
 * Returns whether it stopped at the limit. Call within a transaction.
 */
export function sweep(environment: Environment, now: number, limit: number): boolean {
  let room = limit
  const end: ExpiryKey = [now - GRACE_MS, 'counter', '', 0, 0]
  for (const entry of [...environment.expiries.getKeys({ end, limit })]) {
    room -= forgetExpired(environment, entry, room)
    if (room <= 0) return true
  }
  return false
}

/** Returns how many entries it removed. An entry is stale if its thing was put again since, with a later expiry. */
function forgetExpired(environment: Environment, entry: ExpiryKey, room: number): number {
  const { trees, takes, proofs, counters, expiries } = environment
  let removed = 1
  if (entry[1] === 'tree') {
    const [at, , tree] = entry
    if (expiryOf(trees.get(tree)) <= at) {
      // Takes first: while the tree's entry exists, the next sweep comes back for the rest.
      const batch = [...takes.getKeys({ start: [tree, ''], end: [tree, '\uffff'], limit: room })]
      for (const take of batch) takes.removeSync(take)
      if (batch.length >= room) return batch.length
      trees.removeSync(tree)
      removed += batch.length
    }
  } else if (entry[1] === 'proof') {
    const [at, , proof] = entry
    if ((proofs.get(proof) ?? at) <= at) proofs.removeSync(proof)
  } else {
    const [, , ...counter] = entry
    counters.removeSync(counter)
  }
  expiries.removeSync(entry)
  return removed
}

function expiryOf(record: TreeRecord | undefined): number {
  if (record === undefined) return Number.POSITIVE_INFINITY
  const [, , , expiresAt] = record
  return expiresAt
}
