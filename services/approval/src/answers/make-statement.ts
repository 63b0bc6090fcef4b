import {
  buildApprovalStatement,
  buildRegistryStatement,
  statementHash,
  toolServerOf,
} from '@bailiwick/approval-statement'
import { type Authority, describe, narrows } from '@bailiwick/authority'
import type { Approver, Continuous, Rule } from '@bailiwick/contracts'
import { encodeBase64url } from '@bailiwick/credentials'
import { type ErrorCode, ServiceError } from '@bailiwick/errors'
import type { RequestRecord } from '@bailiwick/projection'
import { argumentsToShow } from '../asks/arguments.ts'
import type { Approval } from '../context.ts'
import { changeConflict } from '../registry/judge-change.ts'
import { unseenIn } from '../registry/unseen-in.ts'
import { type AccessAsk, openAsk, type Received, type RegistryAsk, requestNamed } from '../requests.ts'
import { stepUpLines, stepUpStatement, whyNotStepUp } from './answer-step-up.ts'
import { unexplained } from './inspect.ts'
import { type AnswerStatement, judgeAnswer } from './judge-answer.ts'
import { authorityOf, ruleFor, whyNotApprove, whyNotApproveChange } from './who-may-answer.ts'

/** The parts that the approver narrowed. */
export interface Narrowed {
  authority?: unknown
  /** RFC 3339, UTC with ms. */
  not_after?: string | undefined
  /** For mode continuous: what must stay fresh, stricter than the rule requires. */
  continuous?: Continuous | undefined
  /** For a step-up of a task that lapsed: let through this action alone. */
  effect?: 'action' | undefined
}

const isNarrowed = (narrowed: Narrowed) => Object.values(narrowed).some((member) => member !== undefined)

export interface Rendered {
  requestId: string
  statement: AnswerStatement
  statementHash: string
  /** The canonical fields in plain words. For a registry change, its diff is shown instead. */
  lines: string[]
  /** The text of the exact action; undefined if the ask brought only its digest. */
  argumentsText?: string | undefined
}

const freshWithinMs = 2000

/**
 * Renders what this person would sign, from the current state (DESIGN §7.2). If others have signed already and nothing has changed
 * since, it is their statement, word for word: all k people must sign the same statement, or it does not count.
 */
export async function makeStatement(
  approval: Approval,
  me: Approver,
  requestId: string,
  narrowed: Narrowed,
): Promise<Rendered> {
  const record = requestNamed(approval, requestId)
  const ask = openAsk(approval, record)
  const [strange] = ask.kind === 'registry' ? unseenIn(approval, ask) : unexplained(ask)
  if (strange !== undefined) throw new ServiceError('request_not_inspectable', strange)
  // A statement must not be rendered from stale state: rule, group and policy set are read from it.
  const { projection } = approval
  if (!(await projection.until(() => projection.fresh() || undefined, freshWithinMs)))
    throw new ServiceError('state_stale')
  const problem = whyNot(approval, me, ask)
  if (problem !== undefined) throw new ServiceError(problem)
  const statement = (await signedByOthers(approval, record, ask, narrowed)) ?? newStatement(approval, ask, narrowed)
  return {
    requestId,
    statement,
    statementHash: statementHash(statement),
    lines: linesOf(approval, ask, statement),
    // Checked for every signer, not only the first: each of them must see it.
    argumentsText: ask.kind === 'registry' ? undefined : argumentsToShow(approval, ask),
  }
}

function whyNot(approval: Approval, me: Approver, ask: Received): ErrorCode | undefined {
  if (ask.kind === 'registry') return whyNotApproveChange(approval, me, ask)
  if (ask.kind === 'step_up') return whyNotStepUp(approval, me, ask)
  return whyNotApprove(approval, me, ask, ruleFor(approval, ask.agent, authorityOf(ask.authority)))
}

function newStatement(approval: Approval, ask: Received, narrowed: Narrowed): AnswerStatement {
  const { effect, ...more } = narrowed
  if (ask.kind === 'access' && effect === undefined) return approvalStatement(approval, ask, more)
  if (ask.kind === 'step_up' && !isNarrowed(more)) return stepUpStatement(approval, ask, effect)
  if (ask.kind !== 'registry' || isNarrowed(narrowed))
    throw new ServiceError('approval_rule_mismatch', 'of this nothing can be narrowed')
  return changeStatement(approval, ask)
}

function linesOf(approval: Approval, ask: Received, statement: AnswerStatement): string[] {
  if (ask.kind === 'step_up') return stepUpLines(approval, ask)
  if (statement.kind !== 'approval') return []
  return describe(authorityOf(statement.authority), { once: statement.mode === 'per_action' })
}

async function signedByOthers(
  approval: Approval,
  { endorsements }: RequestRecord,
  ask: Received,
  narrowed: Narrowed,
): Promise<AnswerStatement | undefined> {
  const newest = endorsements.at(-1)
  if (newest === undefined || isNarrowed(narrowed)) return undefined
  const { statement, statement_hash } = newest
  const assertions = endorsements.filter((e) => e.statement_hash === statement_hash).map((e) => e.assertion)
  const judged = await judgeAnswer(approval, ask, statement, assertions)
  return judged.ok || judged.code === 'approval_quorum_missing' ? statement : undefined
}

function approvalStatement(approval: Approval, ask: AccessAsk, narrowed: Narrowed): AnswerStatement {
  const { projection, trust, clock, random } = approval
  const { registry, revocations } = projection.ledger
  const asked = authorityOf(ask.authority)
  const authority = narrowed.authority === undefined ? asked : authorityOf(narrowed.authority)
  const narrowing = narrows(authority, asked)
  if (!narrowing.narrower) throw new ServiceError('approval_not_narrower', `${narrowing.path}: ${narrowing.why}`)
  const notAfter = narrowed.not_after ?? ask.not_after
  if (Date.parse(notAfter) > Date.parse(ask.not_after)) throw new ServiceError('approval_not_narrower', '/not_after')
  const rule = ruleFor(approval, ask.agent, authority)
  if (!rule.narrowing && isNarrowed(narrowed))
    throw new ServiceError('approval_rule_mismatch', 'the rule does not allow narrowing')
  const policySet = registry.policySet
  if (!policySet) throw new ServiceError('service_unready', 'there is no active policy set')
  return buildApprovalStatement({
    installation: trust.installation,
    request_id: ask.request_id,
    request_hash: ask.request_hash,
    agent: ask.agent,
    instance_key: ask.instance_key,
    rebind: ask.rebind,
    authority,
    mode: ask.mode,
    ...(ask.action_digest === undefined ? {} : { action_digest: ask.action_digest }),
    ...(argumentsToShow(approval, ask) === undefined ? {} : { arguments: 'shown' as const }),
    ...freshnessFor(ask, rule, narrowed),
    ...(rule.emergency === undefined ? {} : { emergency: true as const }),
    not_before: ask.not_before,
    not_after: notAfter,
    rule,
    approvers: registry.approvers,
    policy_set: policySet.hash,
    manifests: manifestsOf(approval, authority),
    as_of: revocations.sequence,
    nonce: encodeBase64url(random(16)),
    now: clock.now(),
  })
}

/** The freshness conditions: the rule's, or stricter ones. Other modes have none, and a narrowing that names some is refused. */
function freshnessFor({ mode }: AccessAsk, { id, continuous }: Rule, narrowed: Narrowed): { continuous?: Continuous } {
  if (mode !== 'continuous') return narrowed.continuous === undefined ? {} : { continuous: narrowed.continuous }
  if (continuous === undefined) throw new ServiceError('approval_rule_mismatch', `mode: rule ${id} lacks continuous`)
  const chosen = narrowed.continuous ?? continuous
  for (const member of ['reattest_seconds', 'outcome_seconds'] as const)
    if (chosen[member] > continuous[member]) throw new ServiceError('approval_not_narrower', `/continuous/${member}`)
  return { continuous: chosen }
}

function changeStatement(approval: Approval, ask: RegistryAsk): AnswerStatement {
  const conflict = changeConflict(approval, ask)
  if (conflict !== undefined) throw new ServiceError('registry_change_conflict', conflict)
  return buildRegistryStatement({
    installation: approval.trust.installation,
    change_id: ask.request_id,
    proposer: ask.proposer,
    entities: ask.entities.map(({ type, id, version, before, after }) => ({
      type,
      id,
      version,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    })),
    not_after: ask.expires_at,
    nonce: encodeBase64url(approval.random(16)),
    now: approval.clock.now(),
  })
}

/** The manifest of each tool server whose tools are named as `<server>/<tool>`: if a tool changes, it is not what was approved. */
function manifestsOf({ projection }: Approval, { permissions }: Authority): Record<string, string> {
  const names = permissions.flatMap(({ resource: { type, id } }) => {
    const server = id === undefined ? undefined : toolServerOf({ type, id })
    return server === undefined ? [] : [server]
  })
  return Object.fromEntries(
    [...new Set(names)].flatMap((name) => {
      const server = projection.ledger.registry.get('tool-server', name)
      return server ? [[name, server.manifest]] : []
    }),
  )
}
