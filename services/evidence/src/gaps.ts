import { type DecodedEvent, formatSequence } from '@bailiwick/contracts'
import { type Chain, missingOf } from './chain.ts'
import type { Consumed } from './tree-head.ts'

/** A range of a producer's numbers that should be in the log and is not. */
export interface Gap {
  producer: string
  service: string
  from: number
  to: number
  /** RFC 3339, of the head that named the end of the chain. */
  headTime: string
}

type Range = readonly [from: number, to: number]

/** Where the partitions of each topic end: the offset that the next message will have. */
export type Ends = Readonly<Record<string, readonly number[]>>

/** How long a number may be missing after evidence has read past a head that names it, ms. */
const patienceMs = 60_000
/** Producers are new with each start, and some lack a number for ever: beyond so many, those of which all is told are forgotten. */
const remembered = 1000
/**
 * Of each service, producers of which something is waited for. Whoever has a service's key can name as many as he likes: he crowds
 * out those of that service alone, and that is told.
 */
const waitedForAtMost = 2000
/** Readings that evidence has not come to the end of: enough for one a second, for as long as a number is waited for. */
const unfinishedAtMost = 60

/** `<source>#<sequence>:<hash>`: the last event that was known of whoever acted before. */
const predecessor = /^(.+)#(\d{16}):([\w-]{43})$/

export interface GapsOptions {
  /** What the log has of a producer's numbers. */
  chainOf: (source: string) => Chain
  monotonic: () => number
  /** More producers of a service lack something than are waited for: the gap of one that comes now may stay unseen. */
  onCrowded: (service: string) => void
}

interface Named {
  service: string
  sequence: number
  /** The hash of the event of that number; undefined when the event or head that named the number does not state it. */
  hash: string | undefined
  time: string
}

/** What heads had named when it was looked up where the bus ends: up to there stands all that they name. */
interface Reading {
  named: Map<string, Named>
  ends: Ends
  /** When the log had all of it, by the monotonic clock. */
  finishedAt: number | undefined
}

/**
 * Compares what producers' signed heads have named with what the log has of their chains: no event is lost unseen, the last
 * one included (V15). A head names what its producer has published, so whoever has read on to where the bus ended after that
 * head has met all of it: only then, and a minute later, is a number missing. A bus that is down, or is still being read, is no gap.
 */
export class Gaps {
  /** The newest head of each producer whose chain the log did not have up to there when it was last looked at. */
  readonly #heads = new Map<string, Named>()
  readonly #waitedFor = new Map<string, number>()
  #readings: Reading[] = []
  /**
   * What findings have said of each producer since the start, lowest first: while more of it goes missing, only that is said. A gap that grew
   * is said once more, whole, by the next start.
   */
  readonly #told = new Map<string, readonly Range[]>()
  readonly #options: GapsOptions

  constructor(options: GapsOptions) {
    this.#options = options
  }

  /** A signed head: the producer has numbered its events up to `sequence`; before its first it names its predecessor's last. */
  head({ data: { producer, service, sequence, hash }, time }: DecodedEvent<'heads.v1'>): void {
    this.name(producer, { service, sequence, hash, time })
    const [, before = '', last = '', of = ''] = (sequence === 0 && predecessor.exec(hash)) || []
    if (before.startsWith(`/${service}/`)) this.name(before, { service, sequence: Number(last), hash: of, time })
  }

  /** Somebody numbered up to `sequence`. */
  name(producer: string, { service, sequence, hash, time }: Named): void {
    const known = this.#heads.get(producer)
    if (known === undefined ? this.#isWhole(producer, { sequence, hash }) : known.sequence >= sequence) return
    const waitedFor = this.#waitedFor.get(service) ?? 0
    if (known === undefined && waitedFor >= waitedForAtMost) {
      this.#options.onCrowded(service)
      return
    }
    if (known === undefined) this.#waitedFor.set(service, waitedFor + 1)
    this.#heads.set(producer, { service, sequence, hash, time })
  }

  /** To be called before it is looked up where the bus ends; what it gives takes the answer. */
  reading(): (ends: Ends) => void {
    for (const [producer, named] of this.#heads) if (this.#isWhole(producer, named)) this.#forget(producer)
    const named = new Map(this.#heads)
    return (ends) => {
      const unfinished = this.#readings.filter(({ finishedAt }) => finishedAt === undefined)
      if (unfinished.length < unfinishedAtMost) this.#readings.push({ named, ends, finishedAt: undefined })
    }
  }

  #isWhole(producer: string, named: Pick<Named, 'sequence' | 'hash'>): boolean {
    return this.#missing(producer, named).length === 0
  }

  #missing(producer: string, { sequence, hash }: Pick<Named, 'sequence' | 'hash'>): Range[] {
    return missingOf(this.#options.chainOf(producer), sequence, hash)
  }

  #forget(producer: string): void {
    const { service = '' } = this.#heads.get(producer) ?? {}
    this.#waitedFor.set(service, (this.#waitedFor.get(service) ?? 1) - 1)
    this.#heads.delete(producer)
    this.#told.delete(producer)
    for (const { named } of this.#readings) named.delete(producer)
  }

  /** To be called once the log says so, now or since before this start. */
  told({ producer, from, to }: Gap): void {
    this.#told.set(producer, joined([...(this.#told.get(producer) ?? []), [from, to]]))
  }

  /** To be called now and then with what the log has of the bus. Gives a gap again until it is closed or told. */
  due(consumed: Consumed): Gap[] {
    this.#forgetTold()
    const now = this.#options.monotonic()
    for (const reading of this.#readings) if (covers(consumed, reading.ends)) reading.finishedAt ??= now
    const newest = this.#readings.findLast(
      ({ finishedAt }) => finishedAt !== undefined && now - finishedAt >= patienceMs,
    )
    if (newest === undefined) return []
    this.#readings = this.#readings.slice(this.#readings.indexOf(newest))
    return [...newest.named].flatMap(([producer, named]) => {
      const { service, time: headTime } = named
      return this.#untold(producer, named).map(([from, to]) => ({ producer, service, from, to, headTime }))
    })
  }

  #untold(producer: string, named: Named): Range[] {
    return this.#missing(producer, named).flatMap((range) => without(range, this.#told.get(producer) ?? []))
  }

  #forgetTold(): void {
    for (const [producer, named] of this.#heads) {
      if (this.#heads.size <= remembered) break
      if (this.#untold(producer, named).length === 0) this.#forget(producer)
    }
  }
}

/** Whether the log has all that the bus had when it ended there. */
export function covers(consumed: Consumed, ends: Ends): boolean {
  return Object.entries(ends).every(([topic, partitions]) =>
    partitions.every((end, partition) => (consumed[topic]?.[partition] ?? -1) >= end - 1),
  )
}

/** The parts of a range that these, which do not overlap and are lowest first, leave over. */
function without([from, to]: Range, taken: readonly Range[]): Range[] {
  const left: Range[] = []
  let next = from
  for (const [begin, end] of taken) {
    if (begin > next) left.push([next, Math.min(begin - 1, to)])
    next = Math.max(next, end + 1)
    if (next > to) break
  }
  return next > to ? left : [...left, [next, to]]
}

/** The same numbers in as few ranges as there can be, lowest first. */
function joined(ranges: readonly Range[]): Range[] {
  const joined: Range[] = []
  for (const [from, to] of ranges.toSorted(([a], [b]) => a - b)) {
    const last = joined.at(-1)
    if (last !== undefined && from <= last[1] + 1) joined[joined.length - 1] = [last[0], Math.max(last[1], to)]
    else joined.push([from, to])
  }
  return joined
}

/** A gap's name: the subject of its finding, by which it is told once. */
export const gapName = ({ producer, from, to }: Gap): string =>
  `${producer}#${formatSequence(from)}-${formatSequence(to)}`
