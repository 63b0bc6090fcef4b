import { type DecodedEvent, formatSequence } from '@bailiwick/contracts'
import type { Chain } from './leaf-index.ts'

/** A range of a producer's numbers that should be in the log and is not. */
export interface Gap {
  producer: string
  service: string
  from: number
  to: number
  /** RFC 3339, of the head that named the end of the chain. */
  headTime: string
}

/** How long a number may be missing after evidence has read all that the bus had, ms. */
const patienceMs = 60_000
/** Producers are new with each start: the oldest are forgotten. */
const remembered = 1000

interface Expected {
  service: string
  sequence: number
  time: string
  /** Since when numbers are missing although the bus was read to its end, by the monotonic clock. */
  missingSince: number | undefined
}

/**
 * Compares each producer's newest signed head with what the log has of its chain: no event is lost unseen, the last one
 * included (V15). A bus that is down, or is still being read, is no gap.
 */
export class Gaps {
  readonly #expected = new Map<string, Expected>()
  readonly #chainOf: (source: string) => Chain
  readonly #monotonic: () => number

  constructor(chainOf: (source: string) => Chain, monotonic: () => number) {
    this.#chainOf = chainOf
    this.#monotonic = monotonic
  }

  /** A signed head: the producer has numbered its events up to `sequence`. */
  head({ data: { producer, service, sequence }, time }: DecodedEvent<'heads.v1'>): void {
    const known = this.#expected.get(producer)
    if (known !== undefined && known.sequence >= sequence) return
    this.#expected.set(producer, { service, sequence, time, missingSince: known?.missingSince })
    const [oldest] = this.#expected.keys()
    if (this.#expected.size > remembered && oldest !== undefined) this.#expected.delete(oldest)
  }

  /** To be called now and then. `caughtUp`: the log has all that the bus has. Gives a gap again until it is closed. */
  due(caughtUp: boolean): Gap[] {
    const now = this.#monotonic()
    return [...this.#expected].flatMap(([producer, expected]) => {
      const { service, sequence, time: headTime } = expected
      const missing = missingOf(this.#chainOf(producer), sequence)
      if (missing.length === 0) expected.missingSince = undefined
      else if (caughtUp) expected.missingSince ??= now
      if (expected.missingSince === undefined || now - expected.missingSince < patienceMs) return []
      return missing.map(([from, to]) => ({ producer, service, from, to, headTime }))
    })
  }
}

/** The ranges of numbers up to `end` that the chain lacks. */
function missingOf({ whole, ahead }: Chain, end: number): [from: number, to: number][] {
  const ranges: [number, number][] = []
  let from = whole + 1
  for (const seen of [...ahead.filter((sequence) => sequence <= end).sort((a, b) => a - b), end + 1]) {
    if (from < seen) ranges.push([from, seen - 1])
    from = seen + 1
  }
  return ranges
}

/** A gap's name: the subject of its finding, by which it is told once. */
export const gapName = ({ producer, from, to }: Gap): string =>
  `${producer}#${formatSequence(from)}-${formatSequence(to)}`
