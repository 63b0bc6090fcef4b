import { type AmountPairs, amountPairs } from '../amount-pairs.ts'
import type { TreeState } from '../grant-store.ts'

/** A tree as lmdb keeps it: an array, which msgpack writes without names; amounts as 64-bit integers, exact. */
export type TreeRecord = [
  epoch: string,
  /** Counts refills and resets: takes of an earlier generation are in the projection's remainder already. */
  generation: number,
  version: number,
  expiresAt: number,
  left: AmountPairs,
  labels: string[],
]

/** A take: what it reserved of the limited resources, and whether that was settled. */
export type TakeRecord = [generation: number, settled: boolean, reserved: AmountPairs]

export function treeRecord(epoch: string, generation: number, tree: TreeState): TreeRecord {
  return [epoch, generation, tree.version, tree.expiresAt, amountPairs(tree.left), [...new Set(tree.labels)]]
}

export function treeState([, , version, expiresAt, left, labels]: TreeRecord): TreeState {
  return { version, left: Object.fromEntries(left), labels, expiresAt }
}
