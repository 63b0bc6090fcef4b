import type { Agent } from '@bailiwick/contracts'
import type { JoinTokenOrder } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import { sha256 } from '../base64url.ts'
import { refused } from '../verified.ts'
import type { Attestor } from './attestor.ts'
import { instanceOf, nameIn } from './instance-name.ts'

interface Offer {
  instance: string
  /** ms since the epoch; until then the token can be redeemed, or remains valid with its key. */
  expiresAt: number
  key?: string
}

/** No grant lives longer; a workload that needs more time gets another token from the operator. */
const redeemedForMs = 8 * 3600 * 1000
const maxOffers = 1000

/**
 * Join tokens, for development. A token is redeemed once, by one key, within minutes. From then on the same token with the same key shows
 * which instance it is, for 8 h, so that a lost answer can be requested again. Tokens are kept in memory, only as hashes: after a restart
 * the operator makes a new one.
 */
export class JoinTokens implements Attestor {
  readonly #offers = new Map<string, Offer>()

  /**
   * Accepts a token from now on, and returns the end of that period (ms since the epoch). Throws `entity_unknown` unless the instance's
   * agent is registered to join by tokens, `queue_full` if too many tokens are waiting.
   */
  offer(agent: Agent | undefined, { instance, token_hash, minutes }: JoinTokenOrder, now: number): number {
    if (agent?.attestor.kind !== 'join_token' || instanceOf(agent.id, nameIn(agent.id, instance)) === undefined)
      throw new ServiceError('entity_unknown', 'no agent of this name joins by tokens')
    for (const [hash, { expiresAt }] of this.#offers) if (expiresAt <= now) this.#offers.delete(hash)
    if (this.#offers.size >= maxOffers) throw new ServiceError('queue_full', 'too many join tokens are waiting')
    const until = now + minutes * 60_000
    this.#offers.set(token_hash, { instance, expiresAt: until })
    return until
  }

  async attest(token: string, { agent, now, key }: Parameters<Attestor['attest']>[1]) {
    const tokenHash = sha256(token)
    const offer = this.#offers.get(tokenHash)
    if (offer === undefined) return refused('key_unknown', 'join token: not one of this service')
    if (!(now < offer.expiresAt)) return refused('token_expired', 'join token: expired')
    const instance = instanceOf(agent.id, nameIn(agent.id, offer.instance))
    if (instance === undefined || agent.attestor.kind !== 'join_token')
      return refused('key_unknown', 'join token: of another agent')
    if (offer.key !== undefined && offer.key !== key)
      return refused('token_replayed', 'join token: redeemed by another key')
    if (offer.key === undefined) {
      offer.key = key
      offer.expiresAt = now + redeemedForMs
    }
    const { expiresAt } = offer
    return { ok: true, agent: agent.id, instance, kind: 'join_token', tokenHash, expiresAt, once: undefined } as const
  }
}
