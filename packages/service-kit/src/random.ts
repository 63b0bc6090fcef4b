import { createHash, randomBytes } from 'node:crypto'

/** Gives `n` bytes that nobody can predict. */
export type RandomSource = (n: number) => Uint8Array

/** The operating system's generator. */
export const systemRandom: RandomSource = (n) => randomBytes(n)

/** For tests only: the same seed gives the same bytes, so that a failing run can be repeated. Predictable by anybody. */
export function seededRandom(seed: string | number): RandomSource {
  let block = 0
  let rest = Buffer.alloc(0)
  return (n) => {
    while (rest.length < n) rest = Buffer.concat([rest, createHash('sha256').update(`${seed}:${block++}`).digest()])
    const bytes = Uint8Array.from(rest.subarray(0, n))
    rest = rest.subarray(n)
    return bytes
  }
}
