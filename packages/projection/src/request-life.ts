import type { EventData, EventTypeOf } from '@bailiwick/contracts'

export type RequestStateName = 'absent' | 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled' | 'withdrawn'
export type RequestEvent = Exclude<EventTypeOf<'approvals.v1'>, 'enrolment.offered' | 'revocation.requested'>

/**
 * A request's life. A refused transition is void, even with the right version. If an approval was void before it had a grant, the request
 * is received again (`reopened`) and waits for an answer again. An emergency is reviewed once, after it was approved.
 */
export const requestTransitions: Record<RequestStateName, Record<RequestEvent, RequestStateName | 'refused'>> = {
  absent: {
    'request.received': 'pending',
    'request.endorsed': 'refused',
    'request.approved': 'refused',
    'request.denied': 'refused',
    'request.expired': 'refused',
    'request.cancelled': 'refused',
    'request.withdrawn': 'refused',
    'request.reviewed': 'refused',
  },
  pending: {
    'request.received': 'refused',
    'request.endorsed': 'pending',
    'request.approved': 'approved',
    'request.denied': 'denied',
    'request.expired': 'expired',
    'request.cancelled': 'cancelled',
    'request.withdrawn': 'withdrawn',
    'request.reviewed': 'refused',
  },
  approved: {
    'request.received': 'pending',
    'request.endorsed': 'approved',
    'request.approved': 'refused',
    'request.denied': 'refused',
    'request.expired': 'refused',
    'request.cancelled': 'cancelled',
    'request.withdrawn': 'withdrawn',
    'request.reviewed': 'approved',
  },
  denied: closed(),
  expired: closed(),
  cancelled: { ...closed(), 'request.reviewed': 'cancelled' },
  withdrawn: { ...closed(), 'request.reviewed': 'withdrawn' },
}

function closed(): Record<RequestEvent, 'refused'> {
  return {
    'request.received': 'refused',
    'request.endorsed': 'refused',
    'request.approved': 'refused',
    'request.denied': 'refused',
    'request.expired': 'refused',
    'request.cancelled': 'refused',
    'request.withdrawn': 'refused',
    'request.reviewed': 'refused',
  }
}

export interface RequestRecord {
  id: string
  version: number
  state: RequestStateName
  /** ms since the epoch of its newest event. */
  changedAt: number
  /** ms since the epoch of the newest `request.received`. */
  receivedAt?: number
  /** ms since the epoch of `request.approved`, but never earlier than the bus took it. It is judged by the registry of this time. */
  approvedAt?: number
  /** ms since the epoch of the first `request.received`. The agent's signature was judged at this time. */
  askedAt?: number
  /** Absent if the reader started after it. */
  received?: EventData<'approvals.v1', 'request.received'>
  endorsements: EventData<'approvals.v1', 'request.endorsed'>[]
  approved?: EventData<'approvals.v1', 'request.approved'>
  closedBy?: string
  /** The person who read the report of an emergency. */
  reviewedBy?: string
}
