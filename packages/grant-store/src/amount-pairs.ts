import { ServiceError } from '@bailiwick/errors'
import type { Amounts } from './grant-store.ts'

/** Amounts as pairs: resource names come from authorities, and a name like `__proto__` must not become an object key. */
export type AmountPairs = [resource: string, amount: bigint][]

const LIMIT = 2n ** 63n

/** @throws ServiceError `internal` for an amount that no adapter could count: a negative one would give instead of take. */
export function amountPairs(amounts: Amounts): AmountPairs {
  const pairs = Object.entries(amounts)
  for (const [resource, amount] of pairs) {
    if (typeof amount !== 'bigint' || amount < 0n || amount >= LIMIT) {
      throw new ServiceError('internal', `the amount of ${JSON.stringify(resource)} is not within 0 and 2^63`)
    }
  }
  return pairs
}
