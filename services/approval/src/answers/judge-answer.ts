import { grantOf, verifyApproval } from '@bailiwick/approval-statement'
import { narrows } from '@bailiwick/authority'
import type { ApprovalStatement, Assertion, Statement } from '@bailiwick/contracts'
import { lineageOf } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { type Judged, judgeChange } from '../registry/judge-change.ts'
import type { AccessAsk, Received } from '../requests.ts'
import { judgeStepUp, signersOf } from './answer-step-up.ts'
import { authorityOf } from './who-may-answer.ts'

export type AnswerStatement = Statement

/**
 * Whether these assertions approve this statement now, judged as its readers will: an answer that they would refuse is not published.
 * `approval_quorum_missing` means that only further signers are missing.
 */
export function judgeAnswer(
  approval: Approval,
  ask: Received,
  statement: AnswerStatement,
  assertions: readonly Assertion[],
): Promise<Judged> {
  if (ask.kind === 'access' && statement.kind === 'approval') return judgeApproval(approval, ask, statement, assertions)
  if (ask.kind === 'registry' && statement.kind === 'registry') return judgeChange(approval, ask, statement, assertions)
  if (ask.kind === 'step_up' && statement.kind === 'step_up') return judgeStepUp(approval, ask, statement, assertions)
  return Promise.resolve({ ok: false, code: 'statement_unknown' })
}

async function judgeApproval(
  { projection, trust, clock }: Approval,
  ask: AccessAsk,
  statement: ApprovalStatement,
  assertions: readonly Assertion[],
): Promise<Judged> {
  const { registry, revocations } = projection.ledger
  if (statement.request_hash !== ask.request_hash) return { ok: false, code: 'access_request_conflict' }
  if (statement.policy_set !== registry.policySet?.hash) return { ok: false, code: 'policy_changed' }
  for (const [server, manifest] of Object.entries(statement.manifests))
    if (registry.get('tool-server', server)?.manifest !== manifest) return { ok: false, code: 'manifest_changed' }
  // A revocation since the rendering kills everything from before it, and the issuer would refuse this for good (V7).
  const lineage = lineageOf({ grant: grantOf(statement, assertions), heldBefore: [] }, signersOf(registry, assertions))
  if (revocations.kills(lineage)) return { ok: false, code: 'revoked_since_shown' }
  const narrowing = narrows(authorityOf(statement.authority), authorityOf(ask.authority))
  if (!narrowing.narrower) return { ok: false, code: 'approval_not_narrower', detail: narrowing.path }
  return verifyApproval({ statement, assertions, registry: registry.view(), trust, at: clock.now() })
}
