import { groupBy } from '@bailiwick/kit'
import { type Finding, type Leaf, sequenceOf, sha256 } from './leaf.ts'

/** Numbers lost with a killed process (decision 22). They do not break the chain, but they are reported. */
export interface Gap {
  producer: string
  from: number
  to: number
  /** The first leaf after them. */
  leaf: number
  /** The producer that continued. */
  successor: string
}

/**
 * A producer gives out no number once an event has waited for the bus for 10 s (decision 49), and clocks may be set by
 * a second meanwhile. So all events numbered after a lost one were numbered within this time.
 */
const underWayMs = 11_000

/**
 * Each producer's chain is complete (V15): its events are numbered 1 … n, each names the hash of the previous one, and
 * the first names the newest event of the producer that it succeeded. That event need not stay the newest: a service
 * halted in the middle of a publication finishes it when it resumes (decision 12), and versions decide which events
 * count. Policy decision may have any number of instances, and several may name the same predecessor. The newest
 * producers have no successor yet, so only a head can prove an end that was cut off there.
 *
 * A gap belongs to a killed process if its numbers were given out at the very end of a producer that another one took
 * over from. Every other gap is a finding.
 */
export function chainFindings(leaves: readonly Leaf[]): { findings: Finding[]; gaps: Gap[] } {
  const findings: Finding[] = []
  const gaps: Gap[] = []
  const bad = (leaf: Leaf, detail: string) => findings.push({ leaf: leaf.index, rule: 'V15', detail })
  const bySource = groupBy(leaves, ({ event }) => event.source)
  for (const chain of bySource.values()) chain.sort((a, b) => sequenceOf(a) - sequenceOf(b))
  const nameable = ([source, chain]: [string, Leaf[]]) => chain.map((leaf) => [nameOf(source, leaf), source] as const)
  const sources = new Map([...bySource].flatMap(nameable))
  const succeeded = new Map<string, string>()
  for (const [source, chain] of bySource) {
    let next = 1
    for (const [n, leaf] of chain.entries()) {
      const sequence = sequenceOf(leaf)
      if (sequence !== next) {
        const successor = sequence > next ? successorOf(source, leaf, { bySource, sources }) : undefined
        if (successor === undefined) {
          bad(leaf, `${source}: number ${sequence} where ${next} is next`)
          break
        }
        gaps.push({ producer: source, from: next, to: sequence - 1, leaf: leaf.index, successor })
      } else if (n > 0 && leaf.event.previous !== sha256((chain[n - 1] as Leaf).bytes))
        bad(leaf, `${source}: ${sequence} does not name the hash of ${sequence - 1}`)
      next = sequence + 1
    }
    const [first] = chain
    if (first === undefined || sequenceOf(first) !== 1) continue
    const named = first.event.previous ?? ''
    const service = serviceOf(source)
    const predecessor = named === 'none' ? `none before ${service}` : sources.get(named)
    if (predecessor === undefined) bad(first, `${source}: its predecessor said nothing like ${named}`)
    else if (named !== 'none' && serviceOf(predecessor) !== service) bad(first, `${source}: succeeds another service`)
    else if (succeeded.has(predecessor) && !manyAtOnce(source))
      bad(first, `${source} and ${succeeded.get(predecessor)} succeed ${predecessor}`)
    else succeeded.set(predecessor, source)
  }
  return { findings, gaps }
}

/**
 * The producer that took over after the gap before this leaf, if the gap belongs to a killed process. The take-over
 * record is the successor's first event, which names what it had read of its predecessor. A decision point that starts
 * names the instance that published last.
 */
function successorOf(
  source: string,
  after: Leaf,
  { bySource, sources }: { bySource: ReadonlyMap<string, readonly Leaf[]>; sources: ReadonlyMap<string, string> },
): string | undefined {
  const last = bySource.get(source)?.at(-1)?.at ?? 0
  if (last - after.at > underWayMs) return undefined
  const tookOver = ([other, chain]: readonly [string, readonly Leaf[]]) => {
    const [first] = chain
    if (other === source || serviceOf(other) !== serviceOf(source) || first === undefined) return false
    if (sequenceOf(first) !== 1 || (chain.at(-1) as Leaf).at <= last) return false
    return manyAtOnce(source) ? first.at > last : sources.get(first.event.previous ?? '') === source
  }
  return [...bySource].find(tookOver)?.[0]
}

const serviceOf = (source: string) => source.split('/')[1]
const manyAtOnce = (source: string) => serviceOf(source) === 'policy-decision'
const nameOf = (source: string, { event, bytes }: Leaf) => `${source}#${event.sequence}:${sha256(bytes)}`
