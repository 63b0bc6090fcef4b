import { groupBy } from '@bailiwick/kit'
import { type Meaning, slackMs } from './approvals.ts'
import { decisionKey } from './facts.ts'
import { type Finding, type Leaf, onTopic } from './leaf.ts'

/** How long a running decision point may take to report an outcome that did not come, ms. */
const patienceMs = 60_000

/**
 * Every ALLOW that counts was taken back, has its outcome, or was reported to have none. Decision points report that
 * once it is due: any decision point that ran long enough between its first event and its last had the time.
 */
export function reconciledFindings({ facts }: Meaning, leaves: readonly Leaf[]): Finding[] {
  const spoke = groupBy(onTopic(leaves, 'decisions.v1'), ({ event }) => event.source)
  const runs = [...spoke.values()]
    .map((all) => all.map(({ at }) => at))
    .map((at) => [at.reduce(min), at.reduce(max)] as const)
  return [...facts.decisions.values()].flatMap(({ standing, data, index }) => {
    if (standing !== 'open') return []
    const due = Date.parse(data.outcome_due)
    const ranMs = runs.reduce((sum, [from, to]) => sum + Math.max(0, to - Math.max(from, due)), 0)
    const detail = `${data.decision_id}: neither an outcome nor that it is missing`
    return ranMs > patienceMs ? [{ leaf: index, rule: 'outcome' as const, detail }] : []
  })
}

/** No outcome is reported missing while there was still time for it. */
export function hastyFindings({ facts }: Meaning): Finding[] {
  return facts.charges.flatMap(({ event, index, at, counts }) => {
    if (!counts || event.type !== 'outcome.missing') return []
    const { decision_id } = event.data
    const due = facts.decisions.get(decisionKey(event.partitionkey, decision_id))?.data.outcome_due
    if (due === undefined || at >= Date.parse(due) - slackMs) return []
    return [{ leaf: index, rule: 'outcome' as const, detail: `${decision_id}: reported missing before it was due` }]
  })
}

const min = (a: number, b: number) => Math.min(a, b)
const max = (a: number, b: number) => Math.max(a, b)
