import { countsFrom, type DpopProof, proofId } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { type DpopNonces, dpopNonces } from '@bailiwick/host'
import { type Clock, type RandomSource, ReplayMemory } from '@bailiwick/kit'

export const proofMaxAgeMs = 60_000
export const proofLeewayMs = 5000

/** The proof holds but an earlier instance may have counted it: the agent makes another one with this nonce (RFC 9449 §9). */
export class NonceNeeded extends ServiceError {
  readonly nonce: string

  constructor(nonce: string) {
    super('caller_unauthenticated', 'the DPoP proof needs the nonce that is in this answer')
    this.nonce = nonce
  }
}

/**
 * Counts each agent's proof once (V10), across restarts and takeovers too. The memory belongs to this process alone. A proof that may be
 * older than this process must therefore carry one of its nonces. A later proof needs none: no earlier instance can have taken it.
 */
export class AgentProofs {
  readonly #clock: Clock
  readonly #random: RandomSource
  /** Renewed each time this instance becomes active: another one that was active in between may have counted proofs with older nonces. */
  #nonces: DpopNonces
  readonly #replay = new ReplayMemory()
  /** ms since the epoch; infinite until this instance is active. */
  #countsSince = Number.POSITIVE_INFINITY

  constructor(clock: Clock, random: RandomSource) {
    this.#clock = clock
    this.#random = random
    this.#nonces = dpopNonces(clock, random)
  }

  /** Proofs count here from now on. `isFirst`: no earlier instance can have taken any. */
  begin(isFirst: boolean): void {
    this.#nonces = dpopNonces(this.#clock, this.#random)
    this.#countsSince = countsFrom(this.#clock.now(), { isFirst, leewayMs: proofLeewayMs })
  }

  /** Counts the proof. Throws `NonceNeeded`, `token_replayed`, or `rate_limited` if this agent has no room left. */
  count(proof: DpopProof, agentId: string): void {
    const isOurs = proof.nonce !== undefined && this.#nonces.accepts(proof.nonce)
    if (!isOurs && proof.iat < this.#countsSince) throw new NonceNeeded(this.#nonces.current())
    const now = this.#clock.now()
    // After the last ms in which the proof is still accepted.
    const until = now + proofMaxAgeMs + 2 * proofLeewayMs + 1
    const counted = this.#replay.remember(agentId, proofId(proof), until, now)
    if (counted === 'seen') throw new ServiceError('token_replayed', 'the DPoP proof was used before')
    if (counted === 'full') throw new ServiceError('rate_limited', 'this agent asks too often')
  }
}
