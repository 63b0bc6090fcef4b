import { type Finding, type Leaf, sequenceOf, sha256 } from './leaf.ts'

/**
 * Each producer's chain is whole (V15): its events are numbered 1 … n, each names the hash of the one before, and the first
 * names the newest event of the producer that it succeeded. That need not have stayed the newest: who was halted in the middle of
 * a publication ends it when it goes on (decision 12), and versions decide what of it counts. Policy decision runs as many
 * instances as are wanted: several may name the same. What the newest producers said last nobody succeeded: an end that was cut off
 * there only a head can prove.
 */
export function chainFindings(leaves: readonly Leaf[]): Finding[] {
  const findings: Finding[] = []
  const bad = (leaf: Leaf, detail: string) => findings.push({ leaf: leaf.index, rule: 'V15', detail })
  const bySource = Map.groupBy(leaves, ({ event }) => event.source)
  for (const chain of bySource.values()) chain.sort((a, b) => sequenceOf(a) - sequenceOf(b))
  const nameable = ([source, chain]: [string, Leaf[]]) => chain.map((leaf) => [nameOf(source, leaf), source] as const)
  const sources = new Map([...bySource].flatMap(nameable))
  const succeeded = new Map<string, string>()
  for (const [source, chain] of bySource) {
    for (const [n, leaf] of chain.entries()) {
      if (sequenceOf(leaf) !== n + 1) {
        bad(leaf, `${source}: number ${sequenceOf(leaf)} where ${n + 1} is next`)
        break
      }
      const before = chain[n - 1]
      if (before !== undefined && leaf.event.previous !== sha256(before.bytes))
        bad(leaf, `${source}: ${n + 1} does not name the hash of ${n}`)
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
  return findings
}

const serviceOf = (source: string) => source.split('/')[1]
const manyAtOnce = (source: string) => serviceOf(source) === 'policy-decision'
const nameOf = (source: string, { event, bytes }: Leaf) => `${source}#${event.sequence}:${sha256(bytes)}`
