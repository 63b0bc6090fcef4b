import { createHash, randomBytes } from 'node:crypto'

/** Gives `n` unpredictable bytes. */
export type RandomSource = (n: number) => Uint8Array

/** The length of ids and similar values. A secret is longer, and is drawn directly. */
const shortBytes = 16
let drawn = Buffer.alloc(0)

/** The operating system's generator. Short values are drawn in bulk, because each call costs more than making an id. */
export const systemRandom: RandomSource = (n) => {
  if (n > shortBytes) return randomBytes(n)
  if (drawn.length < n) drawn = randomBytes(4096)
  const bytes = Uint8Array.from(drawn.subarray(0, n))
  drawn = drawn.fill(0, 0, n).subarray(n) // the bytes given out are overwritten here, so they are neither given out twice nor kept
  return bytes
}

/** For tests only: the same seed gives the same bytes, so that a failing run can be repeated. Predictable. */
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
