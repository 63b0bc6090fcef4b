import {
  buildStepUpStatement,
  longestStepUpMs,
  ruleOfGrant,
  type StepUpCheck,
  verifyStepUp,
} from '@bailiwick/approval-statement'
import { taskLine } from '@bailiwick/authority'
import {
  type Approver,
  type Assertion,
  agentIdOf,
  type Grant,
  type Rule,
  type StepUpStatement,
} from '@bailiwick/contracts'
import { encodeBase64url } from '@bailiwick/credentials'
import { type ErrorCode, ServiceError } from '@bailiwick/errors'
import { approversOf, lineageOf, type RegistryState, type Tree } from '@bailiwick/projection'
import { argumentsToShow } from '../asks/arguments.ts'
import type { Approval } from '../context.ts'
import type { Judged } from '../registry/judge-change.ts'
import type { StepUpAsk } from '../requests.ts'
import { whyNotApprove } from './who-may-answer.ts'

/**
 * The statement of one more action. It is short-lived, since it is about this moment, and never outlives the ask or the grant. It says that
 * the task goes on only if the decision point found that the task lapsed. Even then an approver may let through `only` the action.
 */
export function stepUpStatement(approval: Approval, ask: StepUpAsk, only?: 'action'): StepUpStatement {
  const { trust, clock, random } = approval
  const { grant } = livingTree(approval, ask)
  const now = clock.now()
  const until = Math.min(now + longestStepUpMs, Date.parse(ask.expires_at), Date.parse(grant.not_after))
  return buildStepUpStatement({
    installation: trust.installation,
    request_id: ask.request_id,
    grant_id: grant.id,
    action_digest: ask.action.action_digest,
    ...(argumentsToShow(approval, ask) === undefined ? {} : { arguments: 'shown' as const }),
    effect: only === undefined && goesOn(ask, grant) ? { kind: 'task', until: grant.not_after } : { kind: 'action' },
    not_after: new Date(until).toISOString(),
    nonce: encodeBase64url(random(16)),
    now,
  })
}

const goesOn = ({ needs }: StepUpAsk, { mode }: Grant) => needs === 'task' && mode === 'continuous'

/** Judges as every decision point will. An answer that decision points would reject is not published. */
export function judgeStepUp(
  approval: Approval,
  ask: StepUpAsk,
  statement: StepUpStatement,
  assertions: readonly Assertion[],
): Promise<Judged> {
  const { projection, trust, clock } = approval
  const { registry } = projection.ledger
  if (statement.request_id !== ask.request_id || statement.action_digest !== ask.action.action_digest)
    return Promise.resolve({ ok: false, code: 'access_request_conflict' })
  const { grant } = livingTree(approval, ask)
  if (hasRevoked(approval, ask, signersOf(registry, assertions)))
    return Promise.resolve({ ok: false, code: 'approver_revoked' })
  const check: StepUpCheck = { statement, assertions, grant, registry: registry.view(), trust, at: clock.now() }
  return verifyStepUp(check)
}

/** Only people who may approve the grant under the current rules may allow one more action of it. */
export function stepUpRule({ projection }: Approval, { grant_id }: StepUpAsk): Rule {
  const { grants, registry } = projection.ledger
  const tree = grants.trees.get(grant_id)
  if (tree === undefined) throw new ServiceError('grant_unknown')
  const matched = ruleOfGrant(registry.view(), tree.grant)
  if (!matched.ok) throw new ServiceError(matched.code, matched.detail)
  return matched.rule
}

/** As `whyNotApprove`. Throws what `stepUpRule` throws. */
export function whyNotStepUp(approval: Approval, me: Approver, ask: StepUpAsk): ErrorCode | undefined {
  if (hasRevoked(approval, ask, [me.id])) return 'approver_revoked'
  return whyNotApprove(approval, me, ask, stepUpRule(approval, ask))
}

/** No decision point accepts the yes of a person who was revoked since the grant was made (V7). */
function hasRevoked({ projection }: Approval, { grant_id }: StepUpAsk, people: readonly string[]): boolean {
  const { grants, revocations } = projection.ledger
  const tree = grants.trees.get(grant_id)
  return tree !== undefined && revocations.kills(lineageOf(tree, people))?.kind === 'approver'
}

/** The approvers that own these passkeys; unknown passkeys are left out. Signatures are not checked here. */
export const signersOf = (registry: RegistryState, assertions: readonly Assertion[]): string[] =>
  assertions.flatMap(({ credential_id }) => registry.passkey(credential_id)?.approver.id ?? [])

/** People who may say yes may also say no, and so may the agent's owner. Without a rule or a grant, any approver may clear the ask away. */
export function mayRefuseStepUp(approval: Approval, me: Approver, ask: StepUpAsk): boolean {
  const { registry } = approval.projection.ledger
  if (registry.get('agent', agentIdOf(ask.agent))?.owner === me.id) return true
  try {
    return me.groups.includes(stepUpRule(approval, ask).approvers.group)
  } catch (error) {
    if (error instanceof ServiceError) return true
    throw error
  }
}

/** The repeated action, in plain words. Values are shown as JSON, so that an agent cannot write sentences that look like ours. */
export function stepUpLines(approval: Approval, { action, grant_id, arguments: handedOver }: StepUpAsk): string[] {
  const task = approval.projection.ledger.grants.trees.get(grant_id)?.grant.authority.task
  const { name, resource } = action
  return [
    ...(task === undefined ? [] : [taskLine({ task })]),
    `Once, now: ${name} on ${resource.type} ${resource.id}`,
    // Otherwise the page shows all arguments, with the digest.
    ...(handedOver === undefined ? namedIn(action) : []),
  ]
}

/** Only the arguments that the decision point named. The digest fixes the others. */
function namedIn({ arguments: named = {}, action_digest }: StepUpAsk['action']): string[] {
  const lines = Object.entries(named).map(([pointer, value]) => `${pointer}: ${JSON.stringify(value)}`)
  return [...lines, `Exactly the action with the digest ${action_digest}`]
}

function livingTree({ projection, clock }: Approval, { grant_id, agent, instance_key }: StepUpAsk): Tree {
  const { grants, revocations, registry } = projection.ledger
  const tree = grants.trees.get(grant_id)
  if (tree?.grant.agent !== agent || tree.grant.instance_key !== instance_key) throw new ServiceError('grant_unknown')
  const approvers = approversOf(registry, tree)
  const dead = approvers === undefined || revocations.kills(lineageOf(tree, approvers)) !== undefined
  if (tree.state !== 'active' || dead || !(clock.now() < Date.parse(tree.grant.not_after)))
    throw new ServiceError('grant_not_active')
  return tree
}
