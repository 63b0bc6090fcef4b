import { ServiceError } from '@bailiwick/errors'
import { type Clock, RateLimiter } from '@bailiwick/kit'

export interface QuotaLimits {
  /** For one agent, over all its instances and tasks. */
  agentDecisionsPerMinute: number
  /** For one grant, including everything delegated from it. */
  grantDecisionsPerMinute: number
}

/** Agents and grants are remembered only once a proof for them was verified, so strangers cannot push any of them out. */
const maxKeys = 100_000

/**
 * How many decisions one agent, and one grant, may get here (V18). Each decision is kept in memory and becomes a leaf, and an approved
 * task need not have a limit of its own. Each agent and each grant has a bucket that holds one minute's worth. The buckets belong to this
 * instance alone, so that no decision waits for a store.
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

  /** Throws `decision_quota_exceeded`, which says how long to wait. */
  take(agent: string, grant: string): void {
    const ofGrant = this.#grants.take(grant)
    const rated = ofGrant.ok ? this.#agents.take(agent) : ofGrant
    if (rated.ok) return
    if (ofGrant.ok) this.#grants.give(grant)
    const what = ofGrant.ok ? 'this agent has had its decisions' : 'this grant has had its decisions'
    throw new ServiceError('decision_quota_exceeded', what, { retryAfterSeconds: rated.retryAfterSeconds })
  }
}
