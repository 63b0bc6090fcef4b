/** A range of numbers, both ends included; the hash that its first event names as its predecessor; the hash of its last event. */
export type Stretch = readonly [from: number, to: number, previous?: string | undefined, hash?: string | undefined]

/** A number, and the base64url SHA-256 of an event that bears it. */
export type Link = readonly [sequence: number, hash: string]

/**
 * The numbers of a producer that the log has: all up to `whole`, and above it the ranges in `ahead`, in order. They are ranges because
 * one number that never comes keeps all later numbers from becoming part of `whole`.
 */
export interface Chain {
  whole: number
  /** The hash of the event `whole`. */
  end?: string
  ahead: readonly Stretch[]
  /** Numbers whose event is not the one that the next event names: a foreign event took its place. */
  broken?: readonly Link[]
  /** Further events under a number that the log already had. The next event names at most one of the two. */
  more?: readonly Link[]
}

/** One event of a producer, reduced to what its chain needs. */
export interface Numbered {
  sequence: number
  /** The hash that the event names as its predecessor. Ignored for the first event, which names another producer. */
  previous: string | undefined
  hash: string
}

/** How many of each kind are kept. A holder of the producer's key can make any number; the oldest are already reported by then. */
const mostLinks = 100

/** Adds an event to a chain. Topics enter the log in parallel, so a producer's numbers come in any order. */
export function extended(chain: Chain, { sequence, previous, hash }: Numbered): Chain {
  const { whole, end, ahead, broken = [], more = [] } = chain
  const stretches: Stretch[] = [[0, whole, undefined, end], ...ahead]
  // This includes number 0, which does not exist: a holder of the key may still write it, and it changes nothing.
  if (stretches.some(([from, to]) => from <= sequence && sequence <= to))
    return { ...chain, ...further(chain, [sequence, hash]) }
  const joined: Stretch[] = []
  const missing: Link[] = [...broken]
  for (const stretch of [...stretches, [sequence, sequence, previous, hash] as const].sort(([a], [b]) => a - b)) {
    const last = joined.at(-1)
    if (last === undefined || stretch[0] > last[1] + 1) joined.push(stretch)
    else {
      const [from, to, first, lastHash] = last
      const named = stretch[2]
      if (to > 0 && named !== undefined && lastHash !== undefined && named !== lastHash && !has(more, [to, named]))
        missing.push([to, named])
      joined[joined.length - 1] = [from, stretch[1], first, stretch[3]]
    }
  }
  const [[, upTo, , last] = [0, whole, undefined, end], ...above] = joined
  return {
    ...{ whole: upTo, ahead: above },
    ...(last === undefined ? {} : { end: last }),
    ...(missing.length === 0 ? {} : { broken: missing.slice(-mostLinks) }),
    ...(more.length === 0 ? {} : { more }),
  }
}

/** A second event under one number: the missing one, or a foreign one. */
function further({ broken = [], more = [] }: Chain, link: Link): Pick<Chain, 'broken' | 'more'> {
  if (has(more, link)) return {}
  const left = broken.filter((each) => !same(each, link))
  return { ...(broken.length === 0 ? {} : { broken: left }), more: [...more, link].slice(-mostLinks) }
}

const same = (a: Link, b: Link) => a[0] === b[0] && a[1] === b[1]
const has = (links: readonly Link[], link: Link) => links.some((each) => same(each, link))

/**
 * The ranges of numbers up to `end` for which the chain lacks the events that the producer named. `hash`: the hash of the event `end`,
 * as a head names it.
 */
export function missingOf(chain: Chain, end: number, hash?: string): (readonly [from: number, to: number])[] {
  const { whole, ahead, broken = [], more = [] } = chain
  const ranges: (readonly [number, number])[] = broken.filter(([at]) => at <= end).map(([at]) => [at, at])
  const isAnother = hash !== undefined && chain.end !== undefined && chain.end !== hash && !has(more, [end, hash])
  if (end > 0 && end === whole && isAnother) ranges.push([end, end])
  let from = whole + 1
  for (const [seen, to] of [...ahead.filter(([begin]) => begin <= end), [end + 1, end + 1] as const]) {
    if (from < seen) ranges.push([from, seen - 1])
    from = to + 1
  }
  return [...new Map(ranges.map((range) => [range[0], range])).values()].sort(([a], [b]) => a - b)
}
