import { createHmac } from 'node:crypto'
import type { Clock } from './clock.ts'
import type { RandomSource } from './random.ts'

const windowMs = 5 * 60 * 1000

export interface DpopNonces {
  /** The one that the next proof is to carry. */
  current(): string
  /** Whether this process made it, in this window or the last. */
  accepts(nonce: string): boolean
}

/**
 * Server nonces for DPoP (RFC 9449 §8), one for each window of five minutes. The secret is this start's, so after a restart
 * every older proof and the client assertion beside it is dead, and the replay memory that was lost protects nothing that
 * still counts.
 */
export function dpopNonces(clock: Clock, random: RandomSource): DpopNonces {
  const secret = random(32)
  const make = (window: number) => createHmac('sha256', secret).update(`dpop ${window}`).digest('base64url')
  /** Every answer carries one, and to make it costs a good part of a credential. */
  const made = new Map<number, string>()
  const at = (window: number): string => {
    for (const old of made.keys()) if (old < window - 1) made.delete(old)
    return made.getOrInsertComputed(window, make)
  }
  const window = () => Math.floor(clock.monotonic() / windowMs)
  return {
    current: () => at(window()),
    accepts: (nonce) => nonce === at(window()) || nonce === at(window() - 1),
  }
}
