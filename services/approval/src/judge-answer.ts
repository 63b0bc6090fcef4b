import { verifyApproval, verifySigners } from '@bailiwick/approval-statement'
import { narrows } from '@bailiwick/authority'
import type { ApprovalStatement, Assertion, RegistryStatement } from '@bailiwick/contracts'
import type { ErrorCode } from '@bailiwick/errors'
import type { Approval } from './context.ts'
import { type AccessAsk, agentIdOf, type RegistryAsk } from './requests.ts'
import { authorityOf, registryRule } from './who-may-answer.ts'

export type AnswerStatement = ApprovalStatement | RegistryStatement
type Judged = { ok: true } | { ok: false; code: ErrorCode; detail?: string }

/**
 * Whether these assertions approve this statement now, as the issuer will judge it: what it would refuse is not published.
 * `approval_quorum_missing` means that nothing but people is missing.
 */
export function judgeAnswer(
  approval: Approval,
  ask: AccessAsk | RegistryAsk,
  statement: AnswerStatement,
  assertions: readonly Assertion[],
): Promise<Judged> {
  if (ask.kind === 'access' && statement.kind === 'approval') return judgeApproval(approval, ask, statement, assertions)
  if (ask.kind === 'registry' && statement.kind === 'registry') return judgeChange(approval, ask, statement, assertions)
  return Promise.resolve({ ok: false, code: 'statement_unknown' })
}

async function judgeApproval(
  { projection, trust, clock }: Approval,
  ask: AccessAsk,
  statement: ApprovalStatement,
  assertions: readonly Assertion[],
): Promise<Judged> {
  const { registry } = projection.ledger
  const agent = registry.get('agent', agentIdOf(ask.agent))
  if (!agent) return { ok: false, code: 'agent_unknown' }
  if (statement.request_hash !== ask.request_hash) return { ok: false, code: 'access_request_conflict' }
  if (statement.policy_set !== registry.policySet?.hash) return { ok: false, code: 'policy_changed' }
  for (const [server, manifest] of Object.entries(statement.manifests))
    if (registry.get('tool-server', server)?.manifest !== manifest) return { ok: false, code: 'manifest_changed' }
  const narrowing = narrows(authorityOf(statement.authority), authorityOf(ask.authority))
  if (!narrowing.narrower) return { ok: false, code: 'approval_not_narrower', detail: narrowing.path }
  return verifyApproval({ statement, assertions, registry: registry.view(), agent, trust, at: clock.now() })
}

async function judgeChange(
  approval: Approval,
  ask: RegistryAsk,
  statement: RegistryStatement,
  assertions: readonly Assertion[],
): Promise<Judged> {
  const { projection, trust, clock } = approval
  const { registry } = projection.ledger
  if (clock.now() >= Date.parse(statement.not_after)) return { ok: false, code: 'statement_unknown' }
  const conflict = changeConflict(approval, ask)
  if (conflict !== undefined) return { ok: false, code: 'registry_change_conflict', detail: conflict }
  const signed = await verifySigners({ statement, assertions, approvers: registry.view().approvers, trust })
  if (!signed.ok) return signed
  const people = [...signed.signers.values()]
  const { group, quorum } = registryRule(approval)
  if (group !== undefined && !people.every(({ groups }) => groups.includes(group)))
    return { ok: false, code: 'approver_not_in_group' }
  const another = trust.single_operator || people.some(({ id }) => id !== ask.proposer)
  return people.length >= quorum && another ? { ok: true } : { ok: false, code: 'approval_quorum_missing' }
}

/** The first entity that is not any more what the change was made for. */
export function changeConflict({ projection }: Approval, { entities }: RegistryAsk): string | undefined {
  const { registry } = projection.ledger
  const moved = entities.find(({ type, id, version, before }) => {
    const record = registry.record(type, id)
    return (record?.version ?? 0) + 1 !== version || record?.hash !== before
  })
  return moved && `${moved.type} ${moved.id}`
}
