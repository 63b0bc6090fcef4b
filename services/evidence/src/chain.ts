/** Numbers from one to another, both included; what the event of the first names as the one before it, and the hash of the last. */
export type Stretch = readonly [from: number, to: number, previous?: string | undefined, hash?: string | undefined]

/** A number, and the base64url SHA-256 of an event that bears it. */
export type Link = readonly [sequence: number, hash: string]

/**
 * What the log has of a producer's numbers: all up to `whole`, and above it those from one to another, in order. As
 * ranges, since behind a number that never comes stands all that follows.
 */
export interface Chain {
  whole: number
  /** The hash of the event `whole`. */
  end?: string
  ahead: readonly Stretch[]
  /** Numbers whose events are not those that the next ones name: somebody else's stands in their place. */
  broken?: readonly Link[]
  /** What came under a number that was there already. Of two, the next one names at most one. */
  more?: readonly Link[]
}

/** One event of a producer, as its chain sees it. */
export interface Numbered {
  sequence: number
  /** What it names as the event before it; not looked at of the first, which names another producer. */
  previous: string | undefined
  hash: string
}

/** Of each kind: whoever has the producer's key can make as many as he likes, and the oldest are told by then. */
const mostLinks = 100

/** Topics come into the log side by side, so a producer's numbers come in any order. */
export function extended(chain: Chain, { sequence, previous, hash }: Numbered): Chain {
  const { whole, end, ahead, broken = [], more = [] } = chain
  const stretches: Stretch[] = [[0, whole, undefined, end], ...ahead]
  // Number 0 too, which there is not: who has the key may write it all the same, and it moves nothing.
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

/** A second event under one number: the missing one, or somebody's. */
function further({ broken = [], more = [] }: Chain, link: Link): Pick<Chain, 'broken' | 'more'> {
  if (has(more, link)) return {}
  const left = broken.filter((each) => !same(each, link))
  return { ...(broken.length === 0 ? {} : { broken: left }), more: [...more, link].slice(-mostLinks) }
}

const same = (a: Link, b: Link) => a[0] === b[0] && a[1] === b[1]
const has = (links: readonly Link[], link: Link) => links.some((each) => same(each, link))

/** The ranges of numbers up to `end` of which the chain has not the events that its producer named; `hash`: of the event `end`, as a head names it. */
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
