import { grantIdOf } from '@bailiwick/approval-statement'
import { itemOf, type RequestRecord } from '@bailiwick/projection'
import type { Approval } from './context.ts'
import { taskIdOf } from './requests.ts'

type ItemStatus = 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled' | 'failed'
type TaskStatus = ItemStatus | 'partial'

interface Result {
  mode: 'reevaluate'
  approval: { id: string; grant_id: string; approved_at: string; approved_until: string }
}

/** A part of a task that rules split: a request of its own, with a grant of its own. */
export interface TaskItem {
  id: string
  status: ItemStatus
  /** The authority of this part, as it was received. */
  authority: unknown
  result?: Result
}

/** A task as its agent sees it (AuthZEN Access Request and Approval Profile, Draft 1, "Access Request Response"). */
export interface Task {
  task: {
    id: string
    status: TaskStatus
    status_endpoint: string
    expires_at?: string
    links: { cancel: string }
  }
  result?: Result
  /** In the order of the parts; absent where there is but one request. */
  items?: TaskItem[]
}

export const taskPath = (requestId: string) => `/access/v1/requests/${requestId}`

/**
 * The task handle of a request, or of all parts of the ask that it belongs to, with what was granted. It names neither the
 * approvers nor the rule. A request that was withdrawn is `cancelled`: nothing of it can be used any more.
 */
export function taskOf(approval: Approval, record: RequestRecord): Task {
  const item = itemOf(record)
  const id = taskIdOf(record)
  const parts = item === undefined ? [record] : approval.projection.ledger.requests.ofTask(id)
  const statuses = parts.map((part) => statusOf(approval, part))
  const endpoint = `${approval.publicUrl}${taskPath(id)}`
  const ends = parts.flatMap(({ received }) => (received === undefined ? [] : [received.expires_at])).sort()
  const task = {
    id,
    status: togetherOf(statuses, item?.count ?? 1),
    status_endpoint: endpoint,
    ...(ends[0] === undefined ? {} : { expires_at: ends[0] }),
    links: { cancel: `${endpoint}/cancel` },
  }
  if (item === undefined) return { task, ...resultOf(record, statuses[0]) }
  const items = parts.map((part, n) => ({
    id: part.id,
    status: statuses[n] ?? 'pending',
    authority: part.received?.kind === 'access' ? part.received.authority : {},
    ...resultOf(part, statuses[n]),
  }))
  return { task, items }
}

/**
 * Of all parts one word: what they have in common; pending while somebody can still answer one; partial when some were approved
 * and others were not. Of what ended without any grant, what the agent can do least about comes first. A part that is not there
 * yet is on its way, or is made when the agent hands the same ask in again.
 */
export function togetherOf(statuses: readonly ItemStatus[], count: number): TaskStatus {
  const all = new Set<ItemStatus>(statuses)
  if (statuses.length < count && !all.has('expired')) all.add('pending')
  for (const status of ['pending', 'approved', 'failed', 'denied', 'expired', 'cancelled'] as const)
    if (all.has(status)) return status === 'approved' && all.size > 1 ? 'partial' : status
  return 'failed'
}

function resultOf({ changedAt, approved }: RequestRecord, status: ItemStatus | undefined): { result?: Result } {
  if (status !== 'approved' || approved?.statement.kind !== 'approval') return {}
  const { statement, statement_hash } = approved
  const id = grantIdOf(statement_hash)
  const approved_at = new Date(changedAt).toISOString()
  return {
    result: { mode: 'reevaluate', approval: { id, grant_id: id, approved_at, approved_until: statement.not_after } },
  }
}

/** Approved means usable: until the issuer has made the grant the task is pending, and if it refuses, failed. */
function statusOf({ projection, clock }: Approval, { state, approved, received }: RequestRecord): ItemStatus {
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
