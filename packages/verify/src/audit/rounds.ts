import { actionHash, longestRoundsMs, mostRounds } from '@bailiwick/contracts'
import { type Meaning, slackMs } from './approvals.ts'
import { type Decision, decisionKey, type Facts } from './facts.ts'
import { verifiedClaims } from './jws.ts'
import type { Check } from './leaf.ts'

/** The rounds of a call before this one, the newest first. */
function earlierRounds({ decisions }: Facts, { data, tree }: Decision): Decision[] {
  const rounds: Decision[] = []
  // An ALLOW counts only after the round that it continues, so this ends.
  for (let next = data.continues; next !== undefined; ) {
    const before = decisions.get(decisionKey(tree, next.decision_id))
    if (before === undefined) break
    rounds.push(before)
    next = before.data.continues
  }
  return rounds
}

/** The first round of a call: its ALLOW took the call, its use and its money. */
export const firstRound = (facts: Facts, decision: Decision): Decision =>
  earlierRounds(facts, decision).at(-1) ?? decision

/**
 * A further round of a call takes no call and no money (V9): its enforcement point itself asked for that, for this call and this start of
 * it, and says that the arguments are those of the first round. Agent, tool, permissions and the arguments that the event names are the
 * same, and rounds are limited in number and time.
 */
export function roundChecks({ facts, registry, trust }: Meaning, decision: Decision): Check[] {
  const { data, at } = decision
  const { continues } = data
  if (continues === undefined) return []
  const rounds = earlierRounds(facts, decision)
  const [from] = rounds
  const first = rounds.at(-1)
  if (from === undefined || first === undefined) return [['V9', false, 'it continues a call that does not exist']]
  const point = registry.get('enforcement-point', data.enforcement_point, at)
  const jwk = point?.caller_jwk
  const said = jwk && verifiedClaims(continues.asked, jwk, 'bailiwick-continuation+jws')
  const isAsked =
    said !== undefined &&
    said.installation === trust.installation &&
    said.enforcement_point === data.enforcement_point &&
    said.instance === data.instance &&
    said.call_id === data.call_id &&
    said.decision_id === from.data.decision_id &&
    said.action_digest === actionHash(first.data.action)
  const isOver = rounds.length + 1 > mostRounds || at - slackMs > first.at + longestRoundsMs
  return [
    ['V9', isAsked, 'its enforcement point did not ask for it as a further round of that call'],
    ['V9', point?.may_release === true, 'its enforcement point may not say that a call takes nothing'],
    ['V9', aboutOf(from) === aboutOf(decision), 'it continues another call than its own'],
    ['V9', !isOver, 'a call has no such round: there are too many, or it is too late'],
  ]
}

/** What all rounds of a call have in common. */
function aboutOf({ data: { enforcement_point, instance, actor, action, permission, chain } }: Decision): string {
  const { agent, sub_agent, delegation_id } = actor
  const named = Object.entries(action.arguments ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  const used = [action.name, action.resource.type, action.resource.id, named]
  return JSON.stringify([enforcement_point, instance, agent, sub_agent, delegation_id, used, permission, chain])
}
