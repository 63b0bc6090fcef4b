import { ServiceError } from '@bailiwick/errors'
import type { RequestRecord } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { inTurn, requestNamed } from '../requests.ts'

/**
 * The agent takes back its own ask. If any parts are pending, those are cancelled. If all are answered, the issuer revokes the grants
 * of the approved parts: giving back is never refused. Resolves when it is durable and counts. A cancelled task stays cancelled, so that
 * a caller can retry after a lost answer. If there is nothing to take back, throws `access_request_not_pending`.
 */
export async function cancel(approval: Approval, parts: readonly RequestRecord[], agent: string): Promise<void> {
  const inState = (wanted: RequestRecord['state']) => parts.filter(({ state }) => state === wanted)
  const left = [inState('pending'), inState('approved'), inState('cancelled')].find(({ length }) => length > 0)
  if (left === undefined) throw new ServiceError('access_request_not_pending', `it is ${parts[0]?.state}`)
  await Promise.all(left.map(({ id }) => cancelOne(approval, id, agent)))
}

function cancelOne(approval: Approval, requestId: string, agent: string): Promise<void> {
  return inTurn(approval, requestId, async () => {
    const { state, version } = requestNamed(approval, requestId)
    if (state === 'cancelled') return
    if (state !== 'pending' && state !== 'approved')
      throw new ServiceError('access_request_not_pending', `it is ${state}`)
    await approval.producer.publishOne('approvals.v1', {
      type: 'request.cancelled',
      subject: requestId,
      version: version + 1,
      data: { request_id: requestId, by: agent },
    })
  })
}
