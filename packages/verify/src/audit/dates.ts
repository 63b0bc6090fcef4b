import { groupBy } from '@bailiwick/kit'
import { slackMs } from './approvals.ts'
import { type Finding, type Leaf, sequenceOf } from './leaf.ts'

/** Events that are compared with revocations, by the date that each bears. */
const dated: ReadonlySet<string> = new Set(['decision.allowed', 'credential.intended'])

/**
 * A producer dates its events as it numbers them. An event dated before its predecessor was backdated, for example to
 * before a revocation that it came after (V7).
 */
export function dateFindings(leaves: readonly Leaf[]): Finding[] {
  const findings: Finding[] = []
  for (const [source, said] of groupBy(leaves, ({ event }) => event.source)) {
    let newest = Number.NEGATIVE_INFINITY
    for (const leaf of said.sort((a, b) => sequenceOf(a) - sequenceOf(b))) {
      if (dated.has(leaf.event.type) && leaf.at < newest - slackMs)
        findings.push({ leaf: leaf.index, rule: 'V7', detail: `dated before what ${source} had said already` })
      newest = Math.max(newest, leaf.at)
    }
  }
  return findings
}
