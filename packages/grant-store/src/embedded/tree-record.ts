import { type AmountPairs, amountPairs } from '../amount-pairs.ts'
import type { TreeState } from '../grant-store.ts'

/** A tree as lmdb stores it: an array, which msgpack writes without names. Amounts are exact 64-bit integers. */
export type TreeRecord = [
  epoch: string,
  /** Counts refills and resets. Takes of an earlier generation are already included in the projection's remainder. */
  generation: number,
  version: number,
  expiresAt: number,
  left: AmountPairs,
  labels: string[],
]

/** A take: the amounts that it reserved of the limited resources, and whether it was settled. */
export type TakeRecord = [generation: number, settled: boolean, reserved: AmountPairs]

export function treeRecord(epoch: string, generation: number, tree: TreeState): TreeRecord {
  return [epoch, generation, tree.version, tree.expiresAt, amountPairs(tree.left), [...new Set(tree.labels)]]
}

export function treeState([, , version, expiresAt, left, labels]: TreeRecord): TreeState {
  return { version, left: Object.fromEntries(left), labels, expiresAt }
}
