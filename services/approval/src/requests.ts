import { agentIdOf, type EventData } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { itemOf, type RequestRecord } from '@bailiwick/projection'
import type { Approval } from './context.ts'

/** An ask of any kind. */
export type Received = EventData<'approvals.v1', 'request.received'>
export type AccessAsk = Extract<Received, { kind: 'access' }>
export type RegistryAsk = Extract<Received, { kind: 'registry' }>
export type StepUpAsk = Extract<Received, { kind: 'step_up' }>

/** Throws `access_request_unknown`. */
export function requestNamed(approval: Approval, id: string): RequestRecord {
  const record = approval.projection.ledger.requests.requests.get(id)
  if (record === undefined) throw new ServiceError('access_request_unknown')
  return record
}

/** All requests that one ask became, in the order of its parts; mostly one. Throws `access_request_unknown`. */
export function taskNamed(approval: Approval, id: string): readonly [RequestRecord, ...RequestRecord[]] {
  const [first, ...others] = approval.projection.ledger.requests.ofTask(id)
  if (first === undefined) throw new ServiceError('access_request_unknown')
  return [first, ...others]
}

/** The task that a request belongs to: itself, unless it is a part. */
export function taskIdOf(record: Pick<RequestRecord, 'id' | 'received'>): string {
  return itemOf(record)?.task ?? record.id
}

/** The agent that asked. For a registry change, the request itself. */
export function askerOf({ id, received }: Pick<RequestRecord, 'id' | 'received'>): string {
  return received === undefined || received.kind === 'registry' ? id : agentIdOf(received.agent)
}

/** The ask, if it can still be answered. Throws `access_request_not_pending`, `access_request_expired`. */
export function openAsk(approval: Approval, record: RequestRecord): Received {
  if (record.state === 'expired') throw new ServiceError('access_request_expired')
  if (record.state !== 'pending' || record.received === undefined)
    throw new ServiceError('access_request_not_pending', `it is ${record.state}`)
  if (!(approval.clock.now() < Date.parse(record.received.expires_at))) throw new ServiceError('access_request_expired')
  return record.received
}

/** Answers to one request are handled one after the other. */
export function inTurn<T>(approval: Approval, requestId: string, answer: () => Promise<T>): Promise<T> {
  return approval.lanes.serially(`request ${requestId}`, answer)
}
