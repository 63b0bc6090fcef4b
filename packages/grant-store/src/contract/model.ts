import type { AdvanceOutcome, Settlement, Take, TreeState } from '../grant-store.ts'

/** One tree as the port describes it, in the simplest form. Adapters are compared with it. */
export interface TreeModel {
  tree(): TreeState | undefined
  refill(tree: TreeState): boolean
  reset(tree: TreeState): boolean
  advance(take: Take): AdvanceOutcome
  settle(settled: Settlement): void
}

export function treeModel(): TreeModel {
  let tree: TreeState | undefined
  /** What each take since the last refill or reset reserved; `settled` once it is settled. */
  let takes = new Map<string, Record<string, bigint> | 'settled'>()

  const put = (next: TreeState) => {
    tree = next
    takes = new Map()
    return true
  }

  return {
    tree: () => tree,
    refill: (next) => (tree === undefined || next.version > tree.version) && put(next),
    reset: put,

    advance({ takeId, from, to, amounts, labels, now }) {
      if (tree === undefined) return { outcome: 'absent' }
      if (now >= tree.expiresAt) return { outcome: 'expired' }
      if (takes.has(takeId)) return { outcome: 'advanced' }
      const { version, left } = tree
      if (version > from) return { outcome: 'ahead', version }
      if (version < from) return { outcome: 'behind', version }
      const limited = Object.entries(amounts).filter(([resource]) => resource in left)
      const lacking = limited.find(([resource, amount]) => (left[resource] ?? 0n) < amount)
      if (lacking) return { outcome: 'exhausted', resource: lacking[0] }
      const remaining = Object.entries(left).map(([resource, n]) => [resource, n - (amounts[resource] ?? 0n)] as const)
      takes.set(takeId, Object.fromEntries(limited))
      tree = {
        ...tree,
        version: to,
        left: Object.fromEntries(remaining),
        labels: [...new Set([...tree.labels, ...labels])],
      }
      return { outcome: 'advanced' }
    },

    settle({ takeId, to, giveBack }) {
      const reserved = takes.get(takeId)
      if (tree === undefined || reserved === undefined || reserved === 'settled' || to > tree.version + 1) return
      const returned = (resource: string) => {
        const most = reserved[resource] ?? 0n
        const asked = giveBack[resource] ?? 0n
        return asked < most ? asked : most
      }
      const remaining = Object.entries(tree.left).map(([resource, n]) => [resource, n + returned(resource)] as const)
      takes.set(takeId, 'settled')
      tree = { ...tree, version: Math.max(to, tree.version), left: Object.fromEntries(remaining) }
    },
  }
}
