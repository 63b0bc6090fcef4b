import { parseAuthority } from '@bailiwick/authority'
import {
  type Agent,
  type ApprovalStatement,
  type Approver,
  type Assertion,
  agentIdOf,
  type Rule,
  type ToolServer,
} from '@bailiwick/contracts'
import type { Refused } from '@bailiwick/credentials'
import { modeProblem } from './build-statement.ts'
import { emergencyProblem, longestEmergencyMs, signersOfEmergencyProblem } from './emergency.ts'
import { matchRule, type RuleView } from './match-rule.ts'
import { blindProblem, type RuleSilence } from './must-show.ts'
import { refused } from './refused.ts'
import { groupHash } from './statement-hash.ts'
import { type ApprovalTrust, verifySigners } from './verify-signers.ts'

/** The registry as it was when the approval was given, or as it is now: the fold decides which. */
export interface RegistryView extends RuleView {
  readonly approvers: ReadonlyMap<string, Approver>
  readonly agents: ReadonlyMap<string, Agent>
  readonly toolServers: ReadonlyMap<string, ToolServer>
}

export interface ApprovalCheck extends RuleSilence {
  statement: ApprovalStatement
  assertions: readonly Assertion[]
  registry: RegistryView
  trust: ApprovalTrust
  /** ms since the epoch. */
  at: number
}

/** No grant lives longer than this: readers rebuild their state from no further back (DESIGN §5). */
const longestMs = 8 * 3600 * 1000

/** How far the clock of the service that rendered the statement may be ahead of `at`. */
const clockLeewayMs = 5000

/**
 * Verifies that enough of the right people approved exactly this (DESIGN §7.2, V3); issuer, PDP and verifier each check it for themselves.
 * The rule is found again by `matchRule`, not taken from the statement, because a stolen approval service would name a rule of its choice.
 * Two passkeys of one person count once (V10). Never throws. `approverIds` are the people, sorted.
 */
export async function verifyApproval(check: ApprovalCheck): Promise<{ ok: true; approverIds: string[] } | Refused> {
  const { statement, registry, trust } = check
  const authority = parseAuthority(statement.authority)
  if (!authority.ok) return refused(authority.code, authority.detail)
  const matched = matchRule(registry, { agent: statement.agent, authority: authority.authority })
  if (!matched.ok) return matched
  const { rule } = matched
  const agent = registry.agents.get(agentIdOf(statement.agent))
  if (agent === undefined) return refused('agent_unknown', 'the statement names another agent')
  if (statement.installation !== trust.installation) return refused('statement_unknown', 'another installation')
  const problem =
    timeProblem(check, rule) ??
    ruleProblem(check, rule) ??
    emergencyProblem(statement, { authority: authority.authority, agent, rule, trust })
  if (problem !== undefined) return problem
  const signed = await verifySigners({ statement, assertions: check.assertions, approvers: registry.approvers, trust })
  if (!signed.ok) return signed
  return (
    peopleProblem({ agent, trust }, rule, [...signed.signers.values()]) ?? {
      ok: true,
      approverIds: [...signed.signers.keys()].sort(),
    }
  )
}

/** Written so that each comparison must be true to pass: an invalid time (NaN) is refused. */
function timeProblem({ statement, at }: ApprovalCheck, rule: Rule): Refused | undefined {
  const [issued, from, until] = [statement.issued_at, statement.not_before, statement.not_after].map(Date.parse)
  const misfit = (detail: string) => refused('approval_rule_mismatch', detail)
  if (issued === undefined || from === undefined || until === undefined) return misfit('times')
  if (!(issued <= at + clockLeewayMs)) return refused('statement_unknown', 'issued_at: in the future')
  if (!(at < until)) return refused('statement_unknown', 'not_after: expired')
  if (!(from < until)) return misfit('not_after: before not_before')
  if (!(until - from <= rule.max_window_seconds * 1000)) return misfit('not_after: longer than the rule allows')
  // Also measured from the rendering: a window that starts late would outlive what readers remember.
  const longest = rule.emergency === undefined ? longestMs : longestEmergencyMs
  if (!(until - Math.min(from, issued) <= longest)) return misfit(`not_after: later than ${longest / 60_000} minutes`)
  return undefined
}

function ruleProblem(check: ApprovalCheck, rule: Rule): Refused | undefined {
  const { statement, registry } = check
  const { group, quorum } = rule.approvers
  const misfit = (detail: string) => refused('approval_rule_mismatch', detail)
  if (statement.rule.id !== rule.id) return misfit('rule.id: another rule holds')
  if (statement.rule.group !== group || statement.rule.quorum !== quorum) return misfit('rule: changed since')
  if (statement.rule.group_hash !== groupHash(group, registry.approvers.values()))
    return refused('approver_group_changed', 'rule.group_hash')
  if (!rule.modes.includes(statement.mode)) return misfit('mode: not one that the rule allows')
  const problem = modeProblem(statement) ?? freshnessProblem(statement, rule)
  if (problem !== undefined) return misfit(problem)
  return statement.mode === 'per_action' ? blindProblem(check, rule) : undefined
}

/** The rule decides what must stay fresh; a statement may ask for more freshness, never for less. */
function freshnessProblem({ continuous }: ApprovalStatement, rule: Rule): string | undefined {
  if (continuous === undefined) return undefined
  if (rule.continuous === undefined) return 'mode: the rule does not say what must stay fresh'
  const laxer = (member: keyof typeof continuous) => continuous[member] > (rule.continuous?.[member] ?? 0)
  return laxer('reattest_seconds') || laxer('outcome_seconds') ? 'continuous: less than the rule asks for' : undefined
}

/**
 * Checks group, separation of duties and quorum for people whose signatures verify. The owner is the agent's owner at the time of signing.
 */
export function peopleProblem(
  { agent, trust }: { agent: Pick<Agent, 'owner'>; trust: Pick<ApprovalTrust, 'single_operator'> },
  rule: Rule,
  people: readonly Approver[],
): Refused | undefined {
  const { group, quorum } = rule.approvers
  if (!people.every(({ groups }) => groups.includes(group))) return refused('approver_not_in_group', 'a signer')
  if (rule.emergency !== undefined) return signersOfEmergencyProblem(agent, rule, people)
  const ownerMay = rule.owner_may_approve || trust.single_operator
  if (!ownerMay && people.some(({ id }) => id === agent.owner))
    return refused('approver_is_owner', 'the rule requires approvers other than the owner')
  return people.length >= quorum ? undefined : refused('approval_quorum_missing', `${people.length} of ${quorum}`)
}
