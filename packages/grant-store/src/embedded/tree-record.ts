import { ServiceError } from '@bailiwick/errors'
import type { Amounts, TreeState } from '../grant-store.ts'

/** Amounts as pairs: resource names come from authorities, and a name like `__proto__` is no key for an object. */
export type AmountPairs = [resource: string, amount: bigint][]

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

const LIMIT = 2n ** 63n

/** @throws ServiceError `internal` for an amount that no adapter could count: a negative one would give, not take. */
export function amountPairs(amounts: Amounts): AmountPairs {
  const pairs = Object.entries(amounts)
  for (const [resource, amount] of pairs) {
    if (typeof amount !== 'bigint' || amount < 0n || amount >= LIMIT) {
      throw new ServiceError('internal', `the amount of ${JSON.stringify(resource)} is not within 0 and 2^63`)
    }
  }
  return pairs
}

export function treeRecord(epoch: string, generation: number, tree: TreeState): TreeRecord {
  return [epoch, generation, tree.version, tree.expiresAt, amountPairs(tree.left), [...new Set(tree.labels)]]
}

export function treeState([, , version, expiresAt, left, labels]: TreeRecord): TreeState {
  return { version, left: Object.fromEntries(left), labels, expiresAt }
}
