import { grantIdOf } from '@bailiwick/approval-statement'
import type { RequestRecord } from '@bailiwick/projection'
import type { Approval } from './context.ts'

type TaskStatus = 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled' | 'failed'

/** A task as its agent sees it (AuthZEN Access Request and Approval Profile, Draft 1, "Access Request Response"). */
export interface Task {
  task: {
    id: string
    status: TaskStatus
    status_endpoint: string
    expires_at?: string
    links: { cancel: string }
  }
  result?: {
    mode: 'reevaluate'
    approval: { id: string; grant_id: string; approved_at: string; approved_until: string }
  }
}

export const taskPath = (requestId: string) => `/access/v1/requests/${requestId}`

/**
 * The task handle of a request, with its result once there is a grant. It names neither the approvers nor the rule. A
 * request that was withdrawn is `cancelled`: nothing of it can be used any more.
 */
export function taskOf(approval: Approval, record: RequestRecord): Task {
  const status = statusOf(approval, record)
  const { id, received, approved } = record
  const endpoint = `${approval.publicUrl}${taskPath(id)}`
  const task = {
    id,
    status,
    status_endpoint: endpoint,
    ...(received === undefined ? {} : { expires_at: received.expires_at }),
    links: { cancel: `${endpoint}/cancel` },
  }
  if (status !== 'approved' || approved?.statement.kind !== 'approval') return { task }
  const { statement, statement_hash } = approved
  const grantId = grantIdOf(statement_hash)
  const approval_ = {
    id: grantId,
    grant_id: grantId,
    approved_at: new Date(record.changedAt).toISOString(),
    approved_until: statement.not_after,
  }
  return { task, result: { mode: 'reevaluate', approval: approval_ } }
}

/** Approved means usable: until the issuer has made the grant the task is pending, and if it refuses, failed. */
function statusOf({ projection, clock }: Approval, { state, approved, received }: RequestRecord): TaskStatus {
  const { grants } = projection.ledger
  switch (state) {
    case 'pending':
      return received !== undefined && Date.parse(received.expires_at) <= clock.now() ? 'expired' : 'pending'
    case 'approved': {
      const grantId = grantIdOf(approved?.statement_hash ?? '')
      if (grants.trees.has(grantId)) return 'approved'
      return grants.refused.has(grantId) ? 'failed' : 'pending'
    }
    case 'withdrawn':
      return 'cancelled'
    case 'absent':
      return 'failed'
    default:
      return state
  }
}
