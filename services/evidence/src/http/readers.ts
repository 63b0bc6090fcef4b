import {
  claimedIssuer,
  countsFrom,
  longestAssertionSeconds,
  mayHaveCounted,
  verifyClientAssertion,
  verifyingKey,
} from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { networkOf } from '@bailiwick/host'
import { type Clock, RateLimiter, ReplayMemory } from '@bailiwick/kit'
import { take } from './rates.ts'

export interface ReadersOptions {
  clock: Clock
  /** The audience of an auditor's assertion: the log's origin, which no other server accepts. */
  audience: string
  /** Whether unauthenticated callers may read at all. */
  logPublic: boolean
  /** The registered auditor's public JWK. */
  auditorKey: (id: string) => object | undefined
}

/** One request: its origin, and its claimed identity. */
export interface Asking {
  caller: string
  headers: { authorization?: string | undefined }
  /** Called once an auditor is known. */
  callerVerified?: () => void
}

/** Runs `work`, or throws instead. `cost`: one unit for about 20 leaves that `work` may read and verify. */
export type Admit = <T>(request: Asking, cost: number, work: () => Promise<T>) => Promise<T>

/** Any user who may open the operator's socket may read the files, too. */
export const admitAll: Admit = (_, __, work) => work()

const leewayMs = 5000
/** Requests of unauthenticated callers run on the thread of the log's writer, so all of them together get only a part of it. */
const rates = { caller: { perSecond: 10, burst: 200 }, strangers: { perSecond: 20, burst: 400 } }
const mostAtOnce = 8

/**
 * Admits readers of the log over the network: registered auditors (`Authorization: Bearer` with a client assertion of RFC 7523 for this
 * log, a new one for each request) and, if the log is public, unauthenticated callers. Each caller has a bucket of its own; an IPv6 network
 * of /64 is one caller. Unauthenticated callers also share one bucket, so that many of them take nothing from auditors and little from the
 * log.
 */
export class Readers {
  readonly #options: ReadersOptions
  readonly #callers: RateLimiter
  readonly #auditors: RateLimiter
  readonly #strangers: RateLimiter
  readonly #replay = new ReplayMemory()
  #countsSince = Number.POSITIVE_INFINITY
  #running = 0

  constructor(options: ReadersOptions) {
    const { clock } = options
    this.#options = options
    this.#callers = new RateLimiter({ ...rates.caller, maxKeys: 10_000, clock })
    this.#auditors = new RateLimiter({ ...rates.strangers, maxKeys: 1000, clock })
    this.#strangers = new RateLimiter({ ...rates.strangers, maxKeys: 1, clock })
  }

  /** From now on this instance accepts assertions. `isFirst`: no earlier instance ever had the log. */
  begin({ isFirst }: { isFirst: boolean }): void {
    this.#countsSince = countsFrom(this.#options.clock.now(), { isFirst, leewayMs })
  }

  /**
   * Throws `caller_unauthenticated`, `token_life_too_long`, `token_replayed`, `service_unready` for an assertion that may have been used
   * before this instance began, and `rate_limited` for a caller that asks for too much.
   */
  readonly read: Admit = async (request, cost, work) => {
    const { authorization } = request.headers
    if (authorization !== undefined) {
      const auditor = this.#auditor(authorization)
      request.callerVerified?.()
      take(this.#auditors, auditor, cost)
      return work()
    }
    if (!this.#options.logPublic) throw new ServiceError('caller_unauthenticated', 'the log is not public')
    take(this.#callers, networkOf(request.caller), cost)
    take(this.#strangers, '', cost)
    if (this.#running >= mostAtOnce) throw new ServiceError('rate_limited', 'too many read at once')
    this.#running++
    try {
      return await work()
    } finally {
      this.#running--
    }
  }

  #auditor(authorization: string): string {
    const { clock, audience, auditorKey } = this.#options
    const [, assertion = ''] = /^Bearer ([A-Za-z0-9._-]{1,4096})$/i.exec(authorization) ?? []
    const id = claimedIssuer(assertion)
    const jwk = id === undefined ? undefined : auditorKey(id)
    const key = jwk && verifyingKey('auditor', jwk)
    if (id === undefined || key === undefined) throw new ServiceError('caller_unauthenticated')
    const audiences = [audience]
    const verified = verifyClientAssertion({ assertion, key, clientId: id, audiences, now: clock.now(), leewayMs })
    if (!verified.ok) {
      if (verified.code !== 'token_life_too_long') throw new ServiceError('caller_unauthenticated')
      throw new ServiceError(verified.code, `exp may be at most ${longestAssertionSeconds} s from now`)
    }
    const { jti, exp } = verified.value
    if (mayHaveCounted(verified.value, this.#countsSince, leewayMs))
      throw new ServiceError(
        'service_unready',
        'this may have been used before this instance began: sign another one, with iat',
        {
          retryAfterSeconds: 1,
        },
      )
    // Before it costs the auditor anything: a thief who replays the assertion must not use up the auditor's rate.
    const counted = this.#replay.remember(id, jti, exp * 1000 + leewayMs + 1, clock.now())
    if (counted === 'seen')
      throw new ServiceError('token_replayed', 'the assertion was used before: make one for each request')
    if (counted === 'full') throw new ServiceError('rate_limited', 'too many assertions are alive')
    return id
  }
}
