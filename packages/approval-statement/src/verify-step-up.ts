import { parseAuthority } from '@bailiwick/authority'
import {
  type Assertion,
  agentIdOf,
  type Grant,
  type Rule,
  type StepUpEffect,
  type StepUpStatement,
} from '@bailiwick/contracts'
import type { Refused } from '@bailiwick/credentials'
import { matchRule } from './match-rule.ts'
import { blindProblem, type RuleSilence } from './must-show.ts'
import { refused } from './refused.ts'
import { peopleProblem, type RegistryView } from './verify-approval.ts'
import { type ApprovalTrust, verifySigners } from './verify-signers.ts'

export interface StepUpCheck extends RuleSilence {
  statement: StepUpStatement
  assertions: readonly Assertion[]
  /** The grant that the statement must name; `verifyApproval` judges the grant's own approval. */
  grant: Pick<Grant, 'id' | 'agent' | 'authority' | 'mode' | 'not_after'>
  registry: RegistryView
  trust: ApprovalTrust
  /** When it was approved, ms since the epoch. */
  at: number
}

/** From rendering to last use: the signer judges a moment, not an afternoon. */
export const longestStepUpMs = 15 * 60 * 1000
/** How far the clock of the service that rendered the statement may be ahead of `at`. */
const clockLeewayMs = 5000

/**
 * Verifies that enough of the right people approved one more action of a live grant. They are the people whom the rule for the grant's
 * authority asks for now, with the same quorum and separation of duties as for the grant itself. Each PDP checks this for itself (V3); that
 * the approval serves only once (V10) is decided by the tree. Never throws. `approverIds` are the people, sorted.
 */
export async function verifyStepUp(check: StepUpCheck): Promise<{ ok: true; approverIds: string[] } | Refused> {
  const { statement, assertions, registry, trust } = check
  const problem = statementProblem(check)
  if (problem !== undefined) return problem
  const matched = ruleOfGrant(registry, check.grant)
  if (!matched.ok) return matched
  const blind = blindProblem(check, matched.rule)
  if (blind !== undefined) return blind
  const agent = registry.agents.get(agentIdOf(check.grant.agent))
  if (agent === undefined) return refused('agent_unknown', 'the grant is of another agent')
  const signed = await verifySigners({ statement, assertions, approvers: registry.approvers, trust })
  if (!signed.ok) return signed
  const people = [...signed.signers.values()]
  return (
    peopleProblem({ agent, trust }, matched.rule, people) ?? {
      ok: true,
      approverIds: people.map(({ id }) => id).sort(),
    }
  )
}

/** The rule that now applies to everything a grant allows. */
export function ruleOfGrant(
  registry: RegistryView,
  { agent, authority }: Pick<Grant, 'agent' | 'authority'>,
): { ok: true; rule: Rule } | Refused {
  const parsed = parseAuthority(authority)
  if (!parsed.ok) return refused(parsed.code, parsed.detail)
  return matchRule(registry, { agent, authority: parsed.authority })
}

/** Written so that each comparison must be true to pass: an invalid time (NaN) is refused. */
function statementProblem({ statement, grant, trust, at }: StepUpCheck): Refused | undefined {
  const no = (detail: string) => refused('statement_unknown', detail)
  const [issued, until] = [Date.parse(statement.issued_at), Date.parse(statement.not_after)]
  if (statement.installation !== trust.installation) return no('another installation')
  if (statement.grant_id !== grant.id) return no('another grant')
  if (!(issued <= at + clockLeewayMs)) return no('issued_at: in the future')
  if (!(at < until)) return no('not_after: expired')
  if (!(until - issued <= longestStepUpMs)) return no('not_after: later than 15 minutes')
  return effectProblem(effectOf(statement), grant, at)
}

/** The effect of approving this statement. A statement from before the member existed does the least. */
export function effectOf({ effect }: Pick<StepUpStatement, 'effect'>): StepUpEffect {
  return effect ?? { kind: 'action' }
}

/** An approval can extend only a grant that can lapse, and not beyond its end. */
function effectProblem(effect: StepUpEffect, grant: StepUpCheck['grant'], at: number): Refused | undefined {
  if (effect.kind === 'action') return undefined
  if (grant.mode !== 'continuous') return refused('statement_unknown', 'effect: the grant is not of mode continuous')
  const until = Date.parse(effect.until)
  return at < until && until <= Date.parse(grant.not_after)
    ? undefined
    : refused('statement_unknown', 'effect: until is over, or after the end of the grant')
}
