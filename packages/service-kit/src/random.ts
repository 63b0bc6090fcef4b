import { createHash, randomBytes } from 'node:crypto'

/** Gives `n` bytes that nobody can predict. */
export type RandomSource = (n: number) => Uint8Array

/** Ids and what is as short; a secret is longer, and asked for by itself. */
const shortBytes = 16
let drawn = Buffer.alloc(0)

/** The operating system's generator; for what is short it is asked for much at once, since each time costs more than an id does. */
export const systemRandom: RandomSource = (n) => {
  if (n > shortBytes) return randomBytes(n)
  if (drawn.length < n) drawn = randomBytes(4096)
  const bytes = Uint8Array.from(drawn.subarray(0, n))
  drawn = drawn.fill(0, 0, n).subarray(n) // nobody gets it twice, and nothing keeps it
  return bytes
}

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
