import { ServiceError } from '@bailiwick/errors'
import type { RequestRecord } from '@bailiwick/projection'
import type { Approval } from './context.ts'
import { inTurn, requestNamed } from './requests.ts'

/**
 * The agent takes its own ask back, answered or not; of an approved one the issuer then revokes the grant. Resolves when it
 * is durable and counts. What is closed stays as it is, so that a lost answer can be asked for again.
 */
export function cancel(approval: Approval, requestId: string, agent: string): Promise<RequestRecord> {
  return inTurn(approval, requestId, async () => {
    const record = requestNamed(approval, requestId)
    if (record.state === 'cancelled') return record
    if (record.state !== 'pending' && record.state !== 'approved')
      throw new ServiceError('access_request_not_pending', `it is ${record.state}`)
    await approval.producer.publishOne('approvals.v1', {
      type: 'request.cancelled',
      subject: requestId,
      version: record.version + 1,
      data: { request_id: requestId, by: agent },
    })
    return requestNamed(approval, requestId)
  })
}
