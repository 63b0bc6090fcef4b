import type { RandomSource } from '@bailiwick/kit'

/** Draws from 48 bits: enough for one in 1,000,000,000. */
const drawnBytes = 6

/**
 * Is true once in `n` calls on average, by chance: each call has the same chance, independent of those before it. A count instead could be steered by
 * who asks, and would always compare the same half of decisions that ask twice.
 */
export function oneIn(n: number, random: RandomSource): () => boolean {
  // Draws the distance to the next one, which costs less than a draw for each call.
  const distance = () => {
    const drawn = Buffer.from(random(drawnBytes)).readUIntBE(0, drawnBytes) / 2 ** (8 * drawnBytes)
    return Math.floor(Math.log1p(-drawn) / Math.log1p(-1 / n))
  }
  let left = distance()
  return () => {
    if (left-- > 0) return false
    left = distance()
    return true
  }
}
