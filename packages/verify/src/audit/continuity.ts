import { grantAt, type Meaning, slackMs } from './approvals.ts'
import type { Decision, Tree } from './facts.ts'
import type { Finding } from './leaf.ts'
import { stepUpProblem } from './step-ups.ts'

/**
 * Each ALLOW under a grant that stays open only while its workload is attested: either the workload was attested, or a
 * human had approved this action (DESIGN §1). Where the log's order does not show who knew what, the decision point
 * gets the benefit of the doubt.
 */
export async function continuityFindings(meaning: Meaning): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const decision of meaning.facts.decisions.values()) {
    const tree = meaning.facts.trees.get(decision.tree)
    // An ALLOW that was taken back was never answered; a human's approval of this very action is judged separately.
    if (tree === undefined || decision.standing === 'abandoned' || decision.data.step_up !== undefined) continue
    const fresh = grantAt(tree, decision.at).statement.continuous
    if (fresh === undefined) continue
    const since = await lastYes(meaning, tree, decision)
    const bad = (detail: string) =>
      void findings.push({ leaf: decision.index, rule: 'V3', detail: `${decision.data.decision_id}: ${detail}` })
    const gap = longestGap(tree, since, decision.at)
    if (gap > fresh.reattest_seconds * 1000 + slackMs) bad(`its workload had not attested for ${gap} ms`)
    const wait = longestWait(meaning, decision, since)
    if (wait > fresh.outcome_seconds * 1000 + slackMs) bad(`an outcome before it was out for ${wait} ms`)
  }
  return findings
}

/**
 * When humans last confirmed that this grant continues: by its approval, or by a step-up whose statement extends it to
 * a later time.
 */
async function lastYes(meaning: Meaning, tree: Tree, { at }: Decision): Promise<number> {
  const [created] = tree.life
  let last = Math.max(created?.at ?? 0, Date.parse(created?.data.grant.not_before ?? ''))
  for (const { approved } of meaning.facts.requests.values()) {
    const statement = approved?.data.statement
    if (approved === undefined || statement?.kind !== 'step_up' || approved.at > at + slackMs) continue
    if (statement.effect?.kind !== 'task' || !(at - slackMs < Date.parse(statement.effect.until))) continue
    const isOfThis = statement.grant_id === created?.data.grant.id
    if (isOfThis && (await stepUpProblem(meaning, tree, approved)) === undefined) last = Math.max(last, approved.at)
  }
  return last
}

/** The time between successive attestations of the workload, and from the last one to now, ms. */
function longestGap(tree: Tree, since: number, now: number): number {
  const shown = [...tree.intents.values()].map(({ data, at }) =>
    Math.min(Date.parse(data.attestation?.attested_at ?? data.issued_at), at),
  )
  const moments = [since, ...shown.filter((at) => since < at && at <= now), now].sort((a, b) => a - b)
  return Math.max(...moments.map((at, n) => at - (moments[n - 1] ?? at)))
}

/** How long the outcome of an earlier ALLOW was outstanding, ms: until it came, or until now. */
function longestWait({ facts }: Meaning, { tree, index, at: now }: Decision, since: number): number {
  const reported = new Map<string, number>()
  for (const { event, index: leaf, at, counts } of facts.charges)
    if (counts && event.type === 'outcome.reported' && event.partitionkey === tree && leaf < index)
      reported.set(event.data.decision_id, at)
  const before = [...facts.decisions.values()].filter(
    (each) => each.tree === tree && each.index < index && each.at >= since && each.standing !== 'abandoned',
  )
  return Math.max(0, ...before.map(({ data, at }) => Math.min(reported.get(data.decision_id) ?? now, now) - at))
}
