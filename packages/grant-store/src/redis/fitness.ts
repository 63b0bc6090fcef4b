/**
 * Why a Redis cannot be a grant store, from its INFO; `undefined` if it can. This refuses settings under which it may lose data
 * silently. Data that it did lose is noticed by the run, which every script checks.
 */
export function unfitness(info: string): string | undefined {
  const policy = field(info, 'maxmemory_policy')
  // Any other policy evicts proofs and trees under load (DESIGN §5): a flood of proofs would let an old one count as new again.
  if (policy !== 'noeviction') return `maxmemory-policy is ${policy ?? 'not told'}, and must be noeviction`
  // A step touches the epoch and a tree, which a cluster may keep on two servers.
  if (field(info, 'redis_mode') === 'cluster') return 'it is a Redis Cluster, and must be one primary'
  if (field(info, 'role') !== 'master') return 'it is a replica, and must be the primary'
  return undefined
}

function field(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:([\\w-]+)\\r?$`, 'm').exec(info)?.[1]
}
