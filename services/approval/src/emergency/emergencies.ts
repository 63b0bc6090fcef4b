import { grantIdOf } from '@bailiwick/approval-statement'
import { type Approver, agentIdOf } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { isOfEmergency, type RequestRecord } from '@bailiwick/projection'
import { statusOf } from '../asks/task.ts'
import { signersOf } from '../console/words.ts'
import type { Approval } from '../context.ts'
import { type AccessAsk, inTurn, requestNamed } from '../requests.ts'

/** The emergencies that every signed-in person sees: those that wait, live, or were not reviewed yet. Newest first. */
export function emergencies(approval: Approval, me: Approver) {
  const { registry } = approval.projection.ledger
  return allEmergencies(approval)
    .map(({ record, ask, state }) => {
      const by = operatorOf(approval, ask, record)
      const statement = record.approved?.statement
      return {
        request_id: record.id,
        state,
        by,
        by_name: registry.get('approver', by)?.name ?? null,
        signed_by: signedBy(approval, record),
        grant_id: record.approved === undefined ? null : grantIdOf(record.approved.statement_hash),
        opened_at: ask.not_before,
        until: statement?.kind === 'approval' ? statement.not_after : ask.expires_at,
        may_review: state === 'over' && by !== me.id,
      }
    })
    .sort((a, b) => (a.opened_at < b.opened_at ? 1 : -1))
}

export function allEmergencies(approval: Approval) {
  const { requests } = approval.projection.ledger.requests
  return [...requests.values()].flatMap((record) => {
    if (!isOfEmergency(record)) return []
    const state = stateOf(approval, record)
    return state === undefined ? [] : [{ record, ask: record.received as AccessAsk, state }]
  })
}

/** The people who signed so far, or those who approved it, sorted. */
function signedBy(approval: Approval, record: RequestRecord): string[] {
  if (record.approved === undefined) return signersOf(approval, record)
  const { registry } = approval.projection.ledger
  const people = record.approved.assertions.map(
    ({ credential_id: id }) => registry.passkey(id)?.approver.id ?? 'unknown',
  )
  return [...new Set(people)].sort()
}

/** The person who acts: the owner when people approved it, even if the identity was retired or given to another person since. */
const operatorOf = ({ projection }: Approval, { agent }: AccessAsk, { approvedAt }: RequestRecord): string =>
  projection.ledger.registry.view(approvedAt).agents.get(agentIdOf(agent))?.owner ?? agent

/** undefined: there is nothing that people must know, because it was never approved, or because a person has reviewed it. */
function stateOf(approval: Approval, record: RequestRecord): 'waiting' | 'live' | 'over' | undefined {
  if (record.approved === undefined) return statusOf(approval, record) === 'pending' ? 'waiting' : undefined
  if (record.reviewedBy !== undefined) return undefined
  return isLive(approval, record) ? 'live' : 'over'
}

function isLive({ projection, clock }: Approval, { approved, state }: RequestRecord): boolean {
  const { statement, statement_hash: hash = '' } = approved ?? {}
  if (state !== 'approved' || statement?.kind !== 'approval') return false
  if (!(clock.now() < Date.parse(statement.not_after))) return false
  const { grants, revocations } = projection.ledger
  const tree = grants.trees.get(grantIdOf(hash))
  const isOver = tree?.state === 'completed' || revocations.find('grant', grantIdOf(hash)) !== undefined
  // A thief of the issuer's key can refuse a grant and create it all the same.
  return !isOver && (tree !== undefined || !grants.refused.has(grantIdOf(hash)))
}

/** Records that this person read the report. Resolves when that is durable and counts; again, it changes nothing. */
export function reviewEmergency(approval: Approval, me: Approver, requestId: string): Promise<void> {
  return inTurn(approval, requestId, async () => {
    const record = requestNamed(approval, requestId)
    if (!isOfEmergency(record) || record.approved === undefined) throw new ServiceError('access_request_unknown')
    if (record.reviewedBy !== undefined) return
    if (isLive(approval, record)) throw new ServiceError('emergency_refused', 'it is not over yet')
    if (operatorOf(approval, record.received as AccessAsk, record) === me.id)
      throw new ServiceError('emergency_refused', 'the person who acted does not review it')
    await approval.producer.publishOne('approvals.v1', {
      type: 'request.reviewed',
      subject: requestId,
      version: record.version + 1,
      data: { request_id: requestId, by: me.id },
    })
  })
}
