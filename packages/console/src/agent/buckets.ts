import type { Touched } from '../types.ts'
import { deniedIn } from './calls.ts'

const hourMs = 3_600_000
/** More bars would be too narrow to press with a finger. */
const mostBars = 31

/** The calls and denials of some hours in a row. */
export interface Bucket {
  /** ms since the epoch. */
  from: number
  to: number
  allowed: number
  denied: number
}

/** The decisions of an agent over the time of its page, in as many equal parts as can be pressed. Parts without a decision are left out. */
export function bucketsOf({ from, to, hours }: Pick<Touched, 'from' | 'to' | 'hours'>): Bucket[] {
  const begin = Date.parse(from)
  const length = Math.max(1, Math.ceil((Date.parse(to) - begin) / hourMs / mostBars)) * hourMs
  const buckets = new Map<number, Bucket>()
  for (const hour of hours) {
    const n = Math.floor((Date.parse(hour.at) - begin) / length)
    const start = begin + n * length
    const known = buckets.get(n) ?? { from: start, to: start + length, allowed: 0, denied: 0 }
    buckets.set(n, { ...known, allowed: known.allowed + hour.allowed, denied: known.denied + deniedIn(hour) })
  }
  return [...buckets.values()].filter(({ allowed, denied }) => allowed + denied > 0)
}
