import { ServiceError } from '@bailiwick/errors'
import { type Clock, networkOf, RateLimiter } from '@bailiwick/service-kit'

/** Lets one request of somebody at this address through, or throws `rate_limited` with how long to wait. */
export type AdmitCall = (request: { caller: string }) => void

/** Who may open the operator's socket may read the files, too. */
export const admitAnyCall: AdmitCall = () => undefined

const maxKeys = 10_000
/** A monitor that begins with a million leaves fetches 7,900 files as fast as it can. All callers together get a few times that. */
const files = { caller: { perSecond: 100, burst: 10_000 }, all: { perSecond: 400, burst: 40_000 } }
/** What points do behind one address in a rush. Of one point only 2,000 outcomes wait, and it is known by its signature alone. */
const outcomes = { perSecond: 500, burst: 5000 }

/** For whoever fetches the log's files. */
export function fileRate(clock: Clock): AdmitCall {
  const callers = new RateLimiter({ ...files.caller, maxKeys, clock })
  const all = new RateLimiter({ ...files.all, maxKeys: 1, clock })
  return ({ caller }) => {
    take(callers, networkOf(caller))
    take(all, '')
  }
}

/** For whoever tells outcomes: what is no outcome costs a signature to be seen. */
export function outcomeRate(clock: Clock): AdmitCall {
  const callers = new RateLimiter({ ...outcomes, maxKeys, clock })
  return ({ caller }) => take(callers, networkOf(caller))
}

/** Throws `rate_limited` when the bucket has not so much. */
export function take(bucket: RateLimiter, key: string, cost = 1): void {
  const rated = bucket.take(key, cost)
  if (!rated.ok)
    throw new ServiceError('rate_limited', 'this caller asks for too much', {
      retryAfterSeconds: rated.retryAfterSeconds,
    })
}
