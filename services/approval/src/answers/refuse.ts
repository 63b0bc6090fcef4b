import { grantIdOf } from '@bailiwick/approval-statement'
import type { Approver } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import type { RequestRecord } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { inTurn, openAsk, type Received, requestNamed } from '../requests.ts'
import { mayRefuseStepUp } from './answer-step-up.ts'
import { mayRefuse, whyNotApproveChange } from './who-may-answer.ts'

const revokedWithinMs = 5000

/** A person says no. Resolves when the denial is durable and counts. The event holds only a hash of the reason, which is prose. */
export function deny(approval: Approval, me: Approver, requestId: string, reason: string | undefined): Promise<void> {
  return inTurn(approval, requestId, async () => {
    const record = requestNamed(approval, requestId)
    const ask = openAsk(approval, record)
    if (!maySayNo(approval, me, ask)) throw new ServiceError('approver_not_in_group')
    await approval.producer.publishOne('approvals.v1', {
      type: 'request.denied',
      subject: requestId,
      version: record.version + 1,
      data: { request_id: requestId, by: me.id, ...(await keptReason(approval, requestId, reason)) },
    })
  })
}

function maySayNo(approval: Approval, me: Approver, ask: Received): boolean {
  if (ask.kind === 'step_up') return mayRefuseStepUp(approval, me, ask)
  return ask.kind === 'access' ? mayRefuse(approval, me, ask) : whyNotApproveChange(approval, me, ask) === undefined
}

export interface Withdrawn {
  grant_id: string
  revoked_sequence: number
  acknowledged_at: string
}

/**
 * A person takes an approval back. Resolves when the revocation that the issuer declares for it is durable and counts; V7's bound
 * runs from `acknowledged_at`. `deadline_exceeded`: the withdrawal is recorded and the issuer will act on it, but has not yet. Asking
 * again waits again, and withdraws nothing twice. A step-up has no grant: its withdrawal ends only the step-up itself, at each decision
 * point as soon as that has read of it. An action that it let through before stays done.
 */
export async function withdraw(
  approval: Approval,
  me: Approver,
  requestId: string,
  reason: string | undefined,
): Promise<Withdrawn | Pick<Withdrawn, 'acknowledged_at'>> {
  const { projection, clock } = approval
  const grantId = await inTurn(approval, requestId, async () => {
    const record = requestNamed(approval, requestId)
    const grantId = takenBackWith(approval, me, record)
    if (record.state === 'withdrawn' || record.state === 'cancelled') return grantId
    if (record.state !== 'approved') throw new ServiceError('grant_not_active', `the request is ${record.state}`)
    await approval.producer.publishOne('approvals.v1', {
      type: 'request.withdrawn',
      subject: requestId,
      version: record.version + 1,
      data: {
        request_id: requestId,
        by: me.id,
        ...(grantId === undefined ? {} : { grant_id: grantId }),
        ...(await keptReason(approval, requestId, reason)),
      },
    })
    return grantId
  })
  const acknowledged = () => ({ acknowledged_at: new Date(clock.now()).toISOString() })
  if (grantId === undefined) return acknowledged()
  const { revocations } = projection.ledger
  const revocation = await projection.until(() => revocations.find('grant', grantId), revokedWithinMs)
  if (!revocation) throw new ServiceError('deadline_exceeded', 'withdrawn, and not yet revoked')
  return { grant_id: grantId, revoked_sequence: revocation.version, ...acknowledged() }
}

/**
 * The grant that ends when this person takes the approval back; undefined for a step-up. A registry change is taken back by another
 * change.
 */
function takenBackWith(approval: Approval, me: Approver, record: RequestRecord): string | undefined {
  const { approved } = record
  if (approved === undefined || approved.statement.kind === 'registry')
    throw new ServiceError('grant_not_active', 'there is no grant of it')
  if (!mayTakeBack(approval, me, record)) throw new ServiceError('approver_not_in_group')
  return approved.statement.kind === 'approval' ? grantIdOf(approved.statement_hash) : undefined
}

/** Whether this person may take the approval back: as one who may approve it, as one who did, or as the agent's owner. */
export function mayTakeBack(approval: Approval, me: Approver, { received, approved }: RequestRecord): boolean {
  const mine = new Set(me.credentials.map(({ credential_id }) => credential_id))
  const signed = approved?.assertions.some(({ credential_id }) => mine.has(credential_id)) === true
  return signed || (received !== undefined && received.kind !== 'registry' && maySayNo(approval, me, received))
}

/** Stands for a person's own words in an event. The words themselves are kept beside it. */
export async function keptReason(
  { prose, producer, random }: Approval,
  about: string,
  reason: string | undefined,
): Promise<{ reason?: { salted_sha256: string } }> {
  return reason === undefined ? {} : { reason: await prose.keepFresh(producer, random, about, reason) }
}
