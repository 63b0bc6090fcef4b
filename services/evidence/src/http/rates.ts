import { ServiceError } from '@bailiwick/errors'
import type { StrangerRate } from '@bailiwick/host'
import type { RateLimiter } from '@bailiwick/kit'

/**
 * The rate of the log's files. A monitor that begins with a million leaves fetches 7,900 files as fast as it can. All callers together get
 * a few times that.
 */
export const fileRate: StrangerRate = {
  ...{ name: 'files', perSecond: 100, burst: 10_000 },
  together: { perSecond: 400, burst: 40_000 },
}

/**
 * The rate of outcomes, to limit invalid ones: it takes a signature check to recognise those. Enough for a rush of enforcement points
 * behind one address; of one point only 5,000 outcomes wait.
 */
export const outcomeRate: StrangerRate = { name: 'outcomes', perSecond: 500, burst: 5000 }

/** Throws `rate_limited` if the bucket has fewer than `cost` tokens. */
export function take(bucket: RateLimiter, key: string, cost = 1): void {
  const rated = bucket.take(key, cost)
  if (!rated.ok)
    throw new ServiceError('rate_limited', 'this caller asks for too much', {
      retryAfterSeconds: rated.retryAfterSeconds,
    })
}
