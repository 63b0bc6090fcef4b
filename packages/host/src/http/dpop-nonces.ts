import { createHmac } from 'node:crypto'
import { type Clock, getOrInsert, type RandomSource } from '@bailiwick/kit'

const windowMs = 5 * 60 * 1000

export interface DpopNonces {
  /** The nonce that the next proof must carry. */
  current(): string
  /** Whether this process made the nonce, in this window or the previous one. */
  accepts(nonce: string): boolean
}

/**
 * Server nonces for DPoP (RFC 9449 §8), one for each window of five minutes. The secret is new at each start. So after a restart every
 * older proof, and the client assertion sent with it, is invalid, and losing the replay memory does no harm.
 */
export function dpopNonces(clock: Clock, random: RandomSource): DpopNonces {
  const secret = random(32)
  const make = (window: number) => createHmac('sha256', secret).update(`dpop ${window}`).digest('base64url')
  /** Cached: every response carries a nonce, and making one costs a good part of making a credential. */
  const made = new Map<number, string>()
  const at = (window: number): string => {
    for (const old of made.keys()) if (old < window - 1) made.delete(old)
    return getOrInsert(made, window, () => make(window))
  }
  const window = () => Math.floor(clock.monotonic() / windowMs)
  return {
    current: () => at(window()),
    accepts: (nonce) => nonce === at(window()) || nonce === at(window() - 1),
  }
}
