import { grantIdOf } from '@bailiwick/approval-statement'
import { type Authority, parseAuthority, withinResource } from '@bailiwick/authority'
import type { ItemStatus, Result, Task, TaskItem } from '@bailiwick/contracts/api'
import { type RequestRecord, voidedBy } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { taskIdOf } from '../requests.ts'
import type { PresentedItem } from './binding.ts'
import { claimsOf } from './duplicates.ts'
import { rememberMs } from './expire-requests.ts'

type TaskStatus = Task['task']['status']

export const taskPath = (requestId: string) => `/access/v1/requests/${requestId}`

/**
 * The task handle of an ask, made from the requests that the ask became, with what was granted. It names neither approvers nor rules.
 * `presented`: the items as the submission named them, if they are remembered.
 */
export function taskOf(
  approval: Approval,
  parts: readonly [RequestRecord, ...RequestRecord[]],
  presented?: readonly PresentedItem[],
): Task {
  const [first] = parts
  const id = taskIdOf(first)
  const states = parts.map((record) => ({ record, status: statusOf(approval, record) }))
  // A missing part is on its way, or is made when the agent hands in the same ask again while it still can.
  const missing = states.some(({ status }) => status === 'expired') ? 'expired' : 'pending'
  const pairs = pairsOf(first)
  const items = pairs.map((pair, n): TaskItem => {
    const part = states.length === 1 ? states[0] : states.find(({ record }) => holds(record, pair))
    const { resource, action } = presented?.length === pairs.length ? (presented[n] ?? pair) : pair
    return {
      resource: { type: resource.type, id: resource.id },
      action: { name: action.name },
      status: part?.status ?? missing,
      ...(part ? resultOf(part.record, part.status) : {}),
    }
  })
  const endpoint = `${approval.publicUrl}${taskPath(id)}`
  const task = {
    id,
    status: togetherOf([...states.map(({ status }) => status), ...(isWhole(parts) ? [] : ([missing] as const))]),
    status_endpoint: endpoint,
    expires_at: new Date(endOf(states)).toISOString(),
    links: { cancel: `${endpoint}/cancel` },
    items,
  }
  return states.length === 1 ? { task, ...resultOf(first, task.status) } : { task }
}

/** Says only that an ask was received: it is made of what the caller sent, and does not depend on the request's outcome. */
export function receiptOf({ publicUrl }: Approval, id: string, presented: readonly PresentedItem[]): Task {
  const endpoint = `${publicUrl}${taskPath(id)}`
  const items = presented.map(({ resource: { type, id }, action: { name } }): TaskItem => {
    return { resource: { type, id }, action: { name }, status: 'pending' }
  })
  return { task: { id, status: 'pending', status_endpoint: endpoint, links: { cancel: `${endpoint}/cancel` }, items } }
}

/** One status for all parts (profile, "Response Items and Aggregation"). */
export function togetherOf(statuses: readonly ItemStatus[]): TaskStatus {
  if (statuses.includes('pending')) return 'pending'
  const [first = 'failed'] = statuses
  return statuses.every((status) => status === first) ? first : 'partial'
}

/** Whether the handle has expired: its outcome is then no longer given. */
export function isForgotten(approval: Approval, parts: readonly RequestRecord[]): boolean {
  const states = parts.map((record) => ({ record, status: statusOf(approval, record) }))
  return states.every(({ status }) => status !== 'pending') && !(approval.clock.now() < endOf(states))
}

/** The time until which people can answer, if any part is pending; otherwise the time until which the outcome is given. */
function endOf(states: readonly { record: RequestRecord; status: ItemStatus }[]): number {
  const ends = (wanted: boolean) =>
    states
      .filter(({ status }) => (status === 'pending') === wanted)
      .map(({ record: { received, approved, changedAt } }) => {
        const statement = approved?.statement
        const until = statement && 'not_after' in statement ? Date.parse(statement.not_after) : 0
        if (!wanted) return Math.max(changedAt + rememberMs, until)
        return Math.max(until, received === undefined ? 0 : Date.parse(received.expires_at))
      })
  const pending = ends(true)
  return pending.length > 0 ? Math.min(...pending) : Math.max(...ends(false))
}

/** Whether all parts are there: a process may have died between two parts of an ask that the rules split. */
function isWhole(parts: readonly RequestRecord[]): boolean {
  const received = parts[0]?.received
  return parts.length >= ((received?.kind === 'access' ? received.item?.count : undefined) ?? 1)
}

/** The signed permissions as pairs of a resource and an action, in the agent's order. A prefix stands for itself. */
export function pairsIn({ permissions }: Pick<Authority, 'permissions'>) {
  return permissions.flatMap(({ actions, resource }) =>
    actions.map((name) => ({
      resource: { type: resource.type, id: resource.id ?? resource.id_prefix ?? '' },
      action: { name },
      scope: resource,
    })),
  )
}

type Pair = ReturnType<typeof pairsIn>[number]

function pairsOf({ received }: RequestRecord): Pair[] {
  if (received?.kind === 'step_up') {
    const { name, resource } = received.action
    return [{ resource, action: { name }, scope: resource }]
  }
  const parsed = received?.kind === 'access' ? parseAuthority(claimsOf(received.request).authority) : undefined
  return parsed?.ok ? pairsIn(parsed.authority) : []
}

function holds({ received }: RequestRecord, { action, scope }: Pair): boolean {
  const parsed = received?.kind === 'access' ? parseAuthority(received.authority) : undefined
  return (
    parsed?.ok === true &&
    parsed.authority.permissions.some(
      ({ actions, resource }) => actions.includes(action.name) && withinResource(scope, resource),
    )
  )
}

function resultOf({ changedAt, approved }: RequestRecord, status: TaskStatus): { result?: Result } {
  if (status !== 'approved' || approved === undefined || approved.statement.kind === 'registry') return {}
  const { statement, statement_hash } = approved
  const named =
    statement.kind === 'approval'
      ? { id: grantIdOf(statement_hash), grant_id: grantIdOf(statement_hash) }
      : { id: `apr_${statement_hash}`, grant_id: statement.grant_id }
  const approved_at = new Date(changedAt).toISOString()
  return { result: { mode: 'reevaluate', approval: { ...named, approved_at, approved_until: statement.not_after } } }
}

/** Approved means usable: until the issuer has made the grant, the status is pending; if it refuses, failed. Withdrawn is cancelled. */
export function statusOf(
  { projection, clock }: Pick<Approval, 'projection' | 'clock'>,
  record: RequestRecord,
): ItemStatus {
  const { state, approved, received } = record
  const { grants } = projection.ledger
  switch (state) {
    case 'pending':
      return received !== undefined && Date.parse(received.expires_at) <= clock.now() ? 'expired' : 'pending'
    case 'approved': {
      if (approved?.statement.kind === 'step_up') return 'approved'
      const grantId = grantIdOf(approved?.statement_hash ?? '')
      if (grants.trees.has(grantId)) return 'approved'
      // An approval that had no effect is about to be asked again, so the agent must not give up waiting.
      const isOver = grants.refused.has(grantId) && voidedBy(record, grants, clock.now()) === undefined
      return isOver ? 'failed' : 'pending'
    }
    case 'withdrawn':
      return 'cancelled'
    case 'absent':
      return 'failed'
    default:
      return state
  }
}
