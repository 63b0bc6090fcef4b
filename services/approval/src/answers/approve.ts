import { grantIdOf, verifySigners } from '@bailiwick/approval-statement'
import type { Approver, Assertion } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import type { RequestRecord } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { inTurn, openAsk, type RegistryAsk, requestNamed } from '../requests.ts'
import { judgeAnswer } from './judge-answer.ts'
import type { Rendered } from './make-statement.ts'

export type Approved =
  | { status: 'endorsed'; endorsements: number }
  | { status: 'approved'; grant_id: string; grant: 'active' | 'refused' | 'awaited' }
  | { status: 'approved'; applied: boolean }
  | { status: 'approved'; grant_id: string; action_digest: string }

const actedOnWithinMs = 5000

/**
 * Takes one person's passkey signature over the statement that was rendered for that person. Resolves when the event is durable and
 * counts (V2). The event is `request.endorsed` until the rule's quorum of distinct people has signed the same statement. Then it is
 * `request.approved` with all of their signatures, and the promise also waits up to 5 s for the issuer, which verifies them itself, to act.
 */
export async function approve(
  approval: Approval,
  me: Approver,
  rendered: Rendered,
  assertion: Assertion,
): Promise<Approved> {
  const { statement } = rendered
  // Only this person's passkeys: a colleague's signature would be genuine, but it is not the session's.
  const { signCounts } = approval
  const credentials = me.credentials.map((credential) => signCounts.current(credential))
  const approvers = new Map([[me.id, { ...me, credentials }]])
  const signed = await verifySigners({ statement, assertions: [assertion], approvers, trust: approval.trust })
  if (!signed.ok) throw new ServiceError(signed.code, signed.detail)
  signCounts.saw(assertion)
  const published = await inTurn(approval, rendered.requestId, () => publish(approval, me, rendered, assertion))
  if (published !== 'approved') return { status: 'endorsed', endorsements: published }
  // A step-up has no effect until its agent comes back: each decision point reads it then.
  if (statement.kind === 'step_up')
    return { status: 'approved', grant_id: statement.grant_id, action_digest: statement.action_digest }
  return statement.kind === 'registry' ? awaitChange(approval, rendered) : awaitGrant(approval, rendered)
}

async function publish(
  approval: Approval,
  me: Approver,
  { requestId, statement, statementHash }: Rendered,
  assertion: Assertion,
): Promise<'approved' | number> {
  const record = requestNamed(approval, requestId)
  const ask = openAsk(approval, record)
  const earlier = endorsementsOf(record, statementHash)
  const mine = new Set(me.credentials.map(({ credential_id }) => credential_id))
  if (earlier.some(({ credential_id }) => mine.has(credential_id))) return earlier.length
  const assertions = [...earlier, assertion]
  const judged = await judgeAnswer(approval, ask, statement, assertions)
  const subject = record.id
  const version = record.version + 1
  const data = { request_id: record.id, statement, statement_hash: statementHash }
  if (judged.ok) {
    await approval.producer.publishOne('approvals.v1', {
      type: 'request.approved',
      subject,
      version,
      data: { ...data, assertions },
    })
    return 'approved'
  }
  if (judged.code !== 'approval_quorum_missing') throw new ServiceError(judged.code, judged.detail)
  await approval.producer.publishOne('approvals.v1', {
    type: 'request.endorsed',
    subject,
    version,
    data: { ...data, assertion },
  })
  return assertions.length
}

/** The signatures so far on this exact statement. */
function endorsementsOf({ endorsements }: RequestRecord, hash: string): Assertion[] {
  return endorsements.filter(({ statement_hash }) => statement_hash === hash).map(({ assertion }) => assertion)
}

async function awaitGrant({ projection }: Approval, { statementHash }: Rendered): Promise<Approved> {
  const grantId = grantIdOf(statementHash)
  const { grants } = projection.ledger
  const acted = () => (grants.trees.has(grantId) ? 'active' : grants.refused.has(grantId) ? 'refused' : undefined)
  const grant = (await projection.until(acted, actedOnWithinMs)) ?? 'awaited'
  return { status: 'approved', grant_id: grantId, grant }
}

async function awaitChange(approval: Approval, { requestId }: Rendered): Promise<Approved> {
  const { projection } = approval
  const { entities } = requestNamed(approval, requestId).received as RegistryAsk
  const { registry } = projection.ledger
  const applied = () =>
    entities.every(({ type, id, version }) => (registry.record(type, id)?.version ?? 0) >= version) || undefined
  return { status: 'approved', applied: (await projection.until(applied, actedOnWithinMs)) === true }
}
