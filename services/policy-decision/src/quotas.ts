import { ServiceError } from '@bailiwick/errors'
import { type Clock, RateLimiter } from '@bailiwick/service-kit'

export interface QuotaLimits {
  /** Of one agent, over all its instances and tasks. */
  agentDecisionsPerMinute: number
  /** Of one grant, with all that was passed on of it. */
  grantDecisionsPerMinute: number
}

/** Agents and grants are remembered only once a proof held for them: strangers push none of them out. */
const maxKeys = 100_000

/**
 * How many decisions one agent, and one grant, may have here: each is kept in memory and is a leaf, and an approved task need not
 * have a limit of its own (V18). A bucket each, a minute's worth deep; of this instance alone, so that no decision waits for a store.
 */
export class Quotas {
  readonly #agents: RateLimiter
  readonly #grants: RateLimiter

  constructor({ agentDecisionsPerMinute, grantDecisionsPerMinute }: QuotaLimits, clock: Clock) {
    const bucket = (perMinute: number) =>
      new RateLimiter({ perSecond: perMinute / 60, burst: perMinute, maxKeys, clock })
    this.#agents = bucket(agentDecisionsPerMinute)
    this.#grants = bucket(grantDecisionsPerMinute)
  }

  /** Throws `decision_quota_exceeded`, with how long to wait. */
  take(agent: string, grant: string): void {
    const ofGrant = this.#grants.take(grant)
    const rated = ofGrant.ok ? this.#agents.take(agent) : ofGrant
    if (rated.ok) return
    if (ofGrant.ok) this.#grants.give(grant)
    const what = ofGrant.ok ? 'this agent has had its decisions' : 'this grant has had its decisions'
    throw new ServiceError('decision_quota_exceeded', what, { retryAfterSeconds: rated.retryAfterSeconds })
  }
}
