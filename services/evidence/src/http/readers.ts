import {
  claimedIssuer,
  countsFrom,
  longestAssertionSeconds,
  mayHaveCounted,
  verifyClientAssertion,
  verifyingKey,
} from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { type Clock, networkOf, RateLimiter, ReplayMemory } from '@bailiwick/service-kit'
import { take } from './rates.ts'

export interface ReadersOptions {
  clock: Clock
  /** What an auditor's assertion must be for: the log's origin, which no other server goes by. */
  audience: string
  /** Whether strangers may read at all. */
  logPublic: boolean
  /** The registered auditor's public JWK. */
  auditorKey: (id: string) => object | undefined
}

/** Of one request: where it comes from, and who it says that it is. */
export interface Asking {
  caller: string
  headers: { authorization?: string | undefined }
  /** Called once an auditor is known. */
  callerVerified?: () => void
}

/** Does `work`, or throws instead. `cost`: about 20 leaves each that `work` may read and verify. */
export type Admit = <T>(request: Asking, cost: number, work: () => Promise<T>) => Promise<T>

/** Who may open the operator's socket may read the files, too. */
export const admitAll: Admit = (_, __, work) => work()

const leewayMs = 5000
/** What strangers wait for runs on the thread of the log's writer: all of them together get a part of it. */
const rates = { caller: { perSecond: 10, burst: 200 }, strangers: { perSecond: 20, burst: 400 } }
const mostAtOnce = 8

/**
 * Who reads what the log holds over the network: a registered auditor (`Authorization: Bearer` with a client assertion of RFC
 * 7523 for this log, another one for each request), and, where the log is public, strangers. Each
 * caller has a bucket of its own, an IPv6 network of /64 being one caller; strangers share another one, so that many of them take
 * nothing from auditors and little from the log.
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

  /** From now on assertions count here. `isFirst`: no instance before this one ever had the log. */
  begin({ isFirst }: { isFirst: boolean }): void {
    this.#countsSince = countsFrom(this.#options.clock.now(), { isFirst, leewayMs })
  }

  /** Throws `caller_unauthenticated`, `token_life_too_long`, `token_replayed`, `service_unready` for what may have been used before it began, and `rate_limited` for who asks for too much. */
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
    // Before it costs the auditor anything: who stole it must not use up the rate either.
    const counted = this.#replay.remember(id, jti, exp * 1000 + leewayMs + 1, clock.now())
    if (counted === 'seen')
      throw new ServiceError('token_replayed', 'the assertion was used before: make one for each request')
    if (counted === 'full') throw new ServiceError('rate_limited', 'too many assertions are alive')
    return id
  }
}
