import type { EventData } from '@bailiwick/contracts'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { newId, SerialQueue } from '@bailiwick/service-kit'
import type { Issuer } from './context.ts'

export type RevocationOrder = Omit<EventData<'revocations.v1', 'revocation.declared'>, 'revocation_id'>

const tries = 3

/** The sequence is dense: one after the other here, so that a burst of withdrawals does not fight with itself. */
const lane = new SerialQueue({ maxPerKey: 10_000, max: 10_000 })

/**
 * Declares a revocation. When it resolves, it is durable and counts: from then on V7's bound runs. The version is the dense
 * sequence, so two issuers at once settle by the log, and the loser tries again. What is dead by name stays so and is not
 * said twice. Throws `request_malformed` for a target that could kill nothing.
 */
export async function revoke(issuer: Issuer, order: RevocationOrder): Promise<{ sequence: number }> {
  if ((order.kind === 'all') !== (order.target === '*'))
    throw new ServiceError('request_malformed', 'target: * belongs to kind all, and to it alone')
  return lane.serially(issuer.producer.source, () => declare(issuer, order))
}

async function declare(issuer: Issuer, order: RevocationOrder): Promise<{ sequence: number }> {
  const { revocations } = issuer.projection.ledger
  for (let attempt = 1; ; attempt++) {
    const known = revocations.find(order.kind, order.target)
    if (known && (order.kind === 'grant' || order.kind === 'credential' || order.kind === 'delegation'))
      return { sequence: known.version }
    const sequence = revocations.sequence + 1
    try {
      await issuer.producer.publishOne('revocations.v1', {
        type: 'revocation.declared',
        subject: `${order.kind} ${order.target}`,
        key: 'revocations',
        version: sequence,
        data: { revocation_id: newId('rev', issuer.clock.now(), issuer.random), ...order },
      })
      return { sequence }
    } catch (error) {
      if (errorCode(error) !== 'state_contended' || attempt === tries) throw error
    }
  }
}

/** Kills the grant of a request that was withdrawn or cancelled; by name, so even before the grant exists. */
export async function revokeWithdrawn(issuer: Issuer, requestId: string): Promise<void> {
  const request = issuer.projection.ledger.requests.requests.get(requestId)
  if (!request) throw new ServiceError('access_request_unknown')
  const grantId = request.approved
    ? `grt_${request.approved.statement_hash}`
    : issuer.projection.ledger.grants.byRequest(requestId)?.id
  // Of a registry change there is no grant; a step-up that is taken back ends nothing but itself.
  const kind = request.approved?.statement.kind ?? 'approval'
  if (grantId === undefined || kind !== 'approval') return
  const by = request.closedBy ?? 'unknown'
  await revoke(issuer, {
    kind: 'grant',
    target: grantId,
    reason: request.state === 'withdrawn' ? 'request_withdrawn' : 'request_cancelled',
    by: { kind: by.startsWith('spiffe://') ? 'agent' : 'approver', id: by },
    cause: requestId,
  })
}
