import { sha256 } from '../base64url.ts'
import { refused } from '../verified.ts'
import type { Attestor } from './attestor.ts'
import { instanceOf, nameIn } from './instance-name.ts'

/** What the operator said of a token: the token itself is with the workload alone. */
export interface JoinTokenOffer {
  /** SHA-256 of the secret that will be shown here. */
  tokenHash: string
  /** `<agent id>/<instance>` */
  instance: string
  /** ms since the epoch; until then it can be redeemed. */
  expiresAt: number
}

/** No grant lives longer; who needs more asks the operator for another token. */
const redeemedForMs = 8 * 3600 * 1000
const maxOffers = 1000

/**
 * Join tokens, for development. One is redeemed once, by one key, within minutes; from then on the same token with that
 * same key shows which instance it is, for 8 h, so that a lost answer can be asked for again. In memory, by hash alone:
 * after a start the operator makes another.
 */
export class JoinTokens implements Attestor {
  readonly #offers = new Map<string, JoinTokenOffer & { key?: string }>()

  /** False when too many are waiting. */
  offer(offer: JoinTokenOffer, now: number): boolean {
    for (const [hash, { expiresAt }] of this.#offers) if (expiresAt <= now) this.#offers.delete(hash)
    if (this.#offers.size >= maxOffers) return false
    this.#offers.set(offer.tokenHash, { ...offer })
    return true
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
