import { countsFrom, type DpopProof, proofId } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { type Clock, type DpopNonces, dpopNonces, type RandomSource, ReplayMemory } from '@bailiwick/service-kit'

export const proofMaxAgeMs = 60_000
export const proofLeewayMs = 5000

/** The proof holds, and may have counted for the instance before: the agent makes another one, with this nonce (RFC 9449 §9). */
export class NonceNeeded extends ServiceError {
  readonly nonce: string

  constructor(nonce: string) {
    super('caller_unauthenticated', 'the DPoP proof needs the nonce that is in this answer')
    this.nonce = nonce
  }
}

/**
 * Counts each agent's proof once (V10), over restarts and takeovers too. The memory is of this process alone. So a proof that may be older
 * than it must carry a nonce of this process; a later one needs none, since no instance before this one can have taken it.
 */
export class AgentProofs {
  readonly #clock: Clock
  readonly #random: RandomSource
  /** Of the time that this instance acts: one that acted between may have counted proofs with older ones. */
  #nonces: DpopNonces
  readonly #replay = new ReplayMemory()
  /** ms since the epoch; never before this instance acts. */
  #countsSince = Number.POSITIVE_INFINITY

  constructor(clock: Clock, random: RandomSource) {
    this.#clock = clock
    this.#random = random
    this.#nonces = dpopNonces(clock, random)
  }

  /** From now on proofs count here. `isFirst`: no instance before this one can have taken any. */
  begin(isFirst: boolean): void {
    this.#nonces = dpopNonces(this.#clock, this.#random)
    this.#countsSince = countsFrom(this.#clock.now(), { isFirst, leewayMs: proofLeewayMs })
  }

  /** Counts it, or throws `NonceNeeded`, `token_replayed`, or `rate_limited` where this agent has no room left. */
  count(proof: DpopProof, agentId: string): void {
    const isOurs = proof.nonce !== undefined && this.#nonces.accepts(proof.nonce)
    if (!isOurs && proof.iat < this.#countsSince) throw new NonceNeeded(this.#nonces.current())
    const now = this.#clock.now()
    // Past the last ms in which it is still taken.
    const until = now + proofMaxAgeMs + 2 * proofLeewayMs + 1
    const counted = this.#replay.remember(agentId, proofId(proof), until, now)
    if (counted === 'seen') throw new ServiceError('token_replayed', 'the DPoP proof was used before')
    if (counted === 'full') throw new ServiceError('rate_limited', 'this agent asks too often')
  }
}
