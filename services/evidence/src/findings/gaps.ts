import { type DecodedEvent, formatSequence } from '@bailiwick/contracts'
import { type Chain, missingOf } from '../index/chain.ts'
import type { Consumed } from '../log/tree-head.ts'

/** A range of a producer's numbers that the log should have but lacks. */
export interface Gap {
  producer: string
  service: string
  from: number
  to: number
  /** RFC 3339, of the head that named the end of the chain. */
  headTime: string
}

type Range = readonly [from: number, to: number]

/** The end of each topic's partitions: the offset that the next message will have. */
export type Ends = Readonly<Record<string, readonly number[]>>

/** How long a number may be missing after evidence has read past a head that names it, in ms. */
const patienceMs = 60_000
/**
 * Each start is a new producer, and some lack a number for ever. Above this many producers, those whose gaps are all reported are
 * forgotten.
 */
const remembered = 1000
/**
 * How many producers of one service may be waited for. An attacker with a service's key can name any number of producers. That crowds out
 * only producers of that service, and it is reported.
 */
const waitedForAtMost = 2000
/** How many readings may be unfinished: enough for one a second, for as long as a number is waited for. */
const unfinishedAtMost = 60

/** `<source>#<sequence>:<hash>`: the last known event of the preceding producer. */
const predecessor = /^(.+)#(\d{16}):([\w-]{43})$/

export interface GapsOptions {
  /** The numbers of a producer that the log has. */
  chainOf: (source: string) => Chain
  monotonic: () => number
  /** Called when more producers of a service lack events than can be waited for: the gap of a further producer may go unnoticed. */
  onCrowded: (service: string) => void
}

interface Named {
  service: string
  sequence: number
  /** The hash of the event of that number; undefined when the event or head that named the number does not state it. */
  hash: string | undefined
  time: string
}

/** The numbers that heads had named when the ends of the bus were looked up. All events with these numbers are before those ends. */
interface Reading {
  named: Map<string, Named>
  ends: Ends
  /** When the log had all of it, by the monotonic clock. */
  finishedAt: number | undefined
}

/**
 * Compares the numbers in producers' signed heads with the log's chains, so that no event is lost unnoticed, not even the last one
 * (V15). A head names only events that its producer has published. A reader that has reached the end that the bus had after that head has
 * therefore seen them all. A number counts as missing one minute after that. A bus that is down, or is still being read, is not a gap.
 */
export class Gaps {
  /** The newest head of each producer whose chain was incomplete up to that head when it was last checked. */
  readonly #heads = new Map<string, Named>()
  readonly #waitedFor = new Map<string, number>()
  #readings: Reading[] = []
  /**
   * The ranges that findings have reported for each producer since the start, lowest first. If more numbers go missing, only those are
   * reported. The next start reports a gap that grew once more, as a whole.
   */
  readonly #told = new Map<string, readonly Range[]>()
  readonly #options: GapsOptions

  constructor(options: GapsOptions) {
    this.#options = options
  }

  /** Takes a signed head: its producer has numbered events up to `sequence`. Before its first event it names its predecessor's last. */
  head({ data: { producer, service, sequence, hash }, time }: DecodedEvent<'heads.v1'>): void {
    this.name(producer, { service, sequence, hash, time })
    const [, before = '', last = '', of = ''] = (sequence === 0 && predecessor.exec(hash)) || []
    if (before.startsWith(`/${service}/`)) this.name(before, { service, sequence: Number(last), hash: of, time })
  }

  /** Notes that a producer has numbered its events up to `sequence`. */
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

  /** Call it before looking up the ends of the bus, and pass those ends to the function that it returns. */
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

  /** Call it for each gap that the log reports, whether since or before this start. */
  told({ producer, from, to }: Gap): void {
    this.#told.set(producer, joined([...(this.#told.get(producer) ?? []), [from, to]]))
  }

  /** Call it regularly, with how much of the bus the log has. Returns a gap again until it is closed or passed to `told`. */
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

/** Whether the log has every message before these ends of the bus. */
export function covers(consumed: Consumed, ends: Ends): boolean {
  return Object.entries(ends).every(([topic, partitions]) =>
    partitions.every((end, partition) => (consumed[topic]?.[partition] ?? -1) >= end - 1),
  )
}

/** The parts of a range outside `taken`, whose ranges do not overlap and are lowest first. */
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

/** The same numbers in as few ranges as possible, lowest first. */
function joined(ranges: readonly Range[]): Range[] {
  const joined: Range[] = []
  for (const [from, to] of ranges.toSorted(([a], [b]) => a - b)) {
    const last = joined.at(-1)
    if (last !== undefined && from <= last[1] + 1) joined[joined.length - 1] = [last[0], Math.max(last[1], to)]
    else joined.push([from, to])
  }
  return joined
}

/** A gap's name: the subject of its finding. By this name it is reported only once. */
export const gapName = ({ producer, from, to }: Gap): string =>
  `${producer}#${formatSequence(from)}-${formatSequence(to)}`
