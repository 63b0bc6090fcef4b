import { type Agent, sha256Schema, spiffeIdSchema } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import { sha256 } from '../base64url.ts'
import { refused } from '../verified.ts'
import type { Attestor } from './attestor.ts'
import { instanceOf, nameIn } from './instance-name.ts'

/** What an operator says of a join token, to each service that is to take it: the token itself is with the workload alone. */
export const joinTokenOrderSchema = z.strictObject({
  /** `<agent id>/<instance>` */
  instance: spiffeIdSchema,
  /** Of the secret that will be shown to this service: each has its own, so that neither can use the other's. */
  token_hash: sha256Schema,
  minutes: z.int().min(1).max(60),
})
export type JoinTokenOrder = z.infer<typeof joinTokenOrderSchema>

interface Offer {
  instance: string
  /** ms since the epoch; until then it can be redeemed, or goes on with its key. */
  expiresAt: number
  key?: string
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
  readonly #offers = new Map<string, Offer>()

  /**
   * Takes a token from now on; gives until when (ms since the epoch). Throws `entity_unknown` unless the agent of that
   * instance is registered to join by tokens, `queue_full` when too many are waiting.
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
