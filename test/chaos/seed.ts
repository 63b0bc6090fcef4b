import { randomBytes } from 'node:crypto'

/** Printed by each test that uses it; `BAILIWICK_SEED=` it to run the same again. */
export const seed = Number(process.env.BAILIWICK_SEED ?? randomBytes(4).readUInt32BE())

/** mulberry32: small, and the same seed kills at the same moments after a start. */
export function generator(from: number): () => number {
  let state = from
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
