import { createHmac } from 'node:crypto'
import type { Clock, RandomSource } from '@bailiwick/service-kit'

const windowMs = 5 * 60 * 1000

/**
 * Server nonces for DPoP (RFC 9449 §8), one for each window of five minutes. The secret is this start's, so after a restart
 * every older proof and the client assertion beside it is dead, and the replay memory that was lost protects nothing that
 * still counts.
 */
export function dpopNonces(clock: Clock, random: RandomSource): { current(): string; accepts(nonce: string): boolean } {
  const secret = random(32)
  const at = (window: number) => createHmac('sha256', secret).update(`dpop ${window}`).digest('base64url')
  const window = () => Math.floor(clock.monotonic() / windowMs)
  return {
    current: () => at(window()),
    accepts: (nonce) => nonce === at(window()) || nonce === at(window() - 1),
  }
}
