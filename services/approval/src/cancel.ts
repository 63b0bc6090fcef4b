import { ServiceError } from '@bailiwick/errors'
import type { RequestRecord } from '@bailiwick/projection'
import type { Approval } from './context.ts'
import { inTurn, requestNamed, taskNamed } from './requests.ts'

/**
 * The agent takes its own ask back, answered or not, with all of its parts; of what was approved the issuer then revokes the
 * grant. Resolves when it is durable and counts. What is closed stays as it is, so that a lost answer can be asked for again;
 * where nothing is left to take back, `access_request_not_pending`.
 */
export async function cancel(approval: Approval, taskId: string, agent: string): Promise<RequestRecord> {
  const parts = taskNamed(approval, taskId)
  const left = parts.filter(({ state }) => mayBeTakenBack(state) || state === 'cancelled')
  if (left.length === 0) throw new ServiceError('access_request_not_pending', `it is ${parts[0].state}`)
  await Promise.all(left.map(({ id }) => cancelOne(approval, id, agent)))
  return taskNamed(approval, taskId)[0]
}

function cancelOne(approval: Approval, requestId: string, agent: string): Promise<void> {
  return inTurn(approval, requestId, async () => {
    const record = requestNamed(approval, requestId)
    if (!mayBeTakenBack(record.state)) return // answered while this waited for its turn
    await approval.producer.publishOne('approvals.v1', {
      type: 'request.cancelled',
      subject: requestId,
      version: record.version + 1,
      data: { request_id: requestId, by: agent },
    })
  })
}

const mayBeTakenBack = (state: RequestRecord['state']) => state === 'pending' || state === 'approved'
