import { verifyStepUp } from '@bailiwick/approval-statement'
import { actionHash, type EventData } from '@bailiwick/contracts'
import { grantAt, type Meaning, slackMs } from './approvals.ts'
import type { Decision, Fact, Tree } from './facts.ts'
import type { Finding } from './leaf.ts'

/** Each ALLOW that cites a further approval has one, for this action, of this grant, in time (V3). */
export async function stepUpFindings(meaning: Meaning): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const decision of meaning.facts.decisions.values()) {
    const problem = await problemOf(meaning, decision)
    if (problem === undefined) continue
    findings.push({ leaf: decision.index, rule: 'V3', detail: `${decision.data.decision_id}: ${problem}` })
  }
  return findings
}

async function problemOf(meaning: Meaning, { data, tree: id, at }: Decision) {
  const { facts } = meaning
  if (data.step_up === undefined) return undefined
  const approved = facts.requests.get(data.step_up)?.approved
  const statement = approved?.data.statement
  const tree = facts.trees.get(id)
  if (approved === undefined || statement?.kind !== 'step_up' || tree === undefined)
    return 'its step-up was never approved'
  if (statement.request_id !== data.step_up) return 'its step-up is of another request'
  if (statement.action_digest !== actionHash(data.action)) return 'its step-up is for another action'
  const received = facts.requests.get(data.step_up)?.received.data
  if ((statement.arguments === 'shown') !== (received?.kind === 'step_up' && received.arguments !== undefined))
    return 'its statement does not fit the arguments that its agent sent'
  if (!(approved.at - slackMs <= at && at - slackMs < Date.parse(statement.not_after)))
    return 'its step-up is out of time'
  return stepUpProblem(meaning, tree, approved)
}

/** The fault of an approval for one more action of this grant, judged by the registry of its time. */
export async function stepUpProblem(
  { registry, trust }: Meaning,
  tree: Tree,
  { data: { statement, assertions }, at }: Fact<EventData<'approvals.v1', 'request.approved'>>,
): Promise<string | undefined> {
  if (statement.kind !== 'step_up') return 'it is not a step-up'
  const grant = grantAt(tree, at)
  const view = registry.viewAt(at)
  const verified = await verifyStepUp({ statement, assertions, grant, registry: view, trust, at })
  return verified.ok ? undefined : `its step-up: ${verified.code}: ${verified.detail}`
}
