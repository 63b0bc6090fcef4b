import type { DecodedEvent, EventData, Statement } from '@bailiwick/contracts'
import { CutMap } from './cut/cut-map.ts'
import { readRequest, requestRow } from './cut/request-rows.ts'
import { inTurn, type Row, type RowReaders } from './cut/row.ts'
import { type RequestEvent, type RequestRecord, requestTransitions } from './request-life.ts'
import { isNext, type Verdict } from './verdict.ts'

type Enrolment = EventData<'approvals.v1', 'enrolment.offered'>
type StopOrder = EventData<'approvals.v1', 'revocation.requested'>

/** Requests and their answers. */
export class RequestState {
  readonly #base: boolean
  readonly requests = new Map<string, RequestRecord>()
  /** The parts of each ask that rules split, by index. */
  readonly #items = new Map<string, RequestRecord[]>()
  /** Approvals of one more action, by the grant that they name. A step-up closed since stays here in its closed state. */
  readonly #stepUps = new Map<string, Set<RequestRecord>>()
  readonly enrolments = new Map<string, Enrolment>()
  /** Revocations that people ordered from the issuer, other than of single grants, by revocation id. */
  readonly stopOrders = new Map<string, StopOrder>()
  readonly #cut = new CutMap<RequestRecord>((_, record) => [requestRow(record)])

  constructor(options: { base: boolean }) {
    this.#base = options.base
  }

  /** `takenAt`: when the bus took it, ms since the epoch. */
  apply(event: DecodedEvent<'approvals.v1'>, takenAt = 0): Verdict {
    if (event.type === 'enrolment.offered') {
      const { enrolment_id } = event.data
      if (event.version !== 1 || event.partitionkey !== enrolment_id || this.enrolments.has(enrolment_id)) return 'void'
      this.enrolments.set(enrolment_id, event.data)
      return 'counts'
    }
    if (event.type === 'revocation.requested') {
      const { revocation_id } = event.data
      if (event.version !== 1 || event.partitionkey !== revocation_id || this.stopOrders.has(revocation_id))
        return 'void'
      this.stopOrders.set(revocation_id, event.data)
      return 'counts'
    }
    const id = event.data.request_id
    const known = this.requests.get(id)
    // Under another key the event would be on another partition, and readers would see a request's events in different orders.
    if (id !== event.subject || id !== event.partitionkey) return 'void'
    if (!isNext(event.version, known?.version, this.#base)) return 'void'
    const state = known ? requestTransitions[known.state][event.type] : firstState(event)
    if (state === 'refused') return 'void'
    if (event.type === 'request.received' && event.version !== 1 && !isReopened(event.data)) return 'void'
    if (event.type === 'request.reviewed' && !(known && mayBeReviewed(known))) return 'void'
    this.#cut.before(id)
    const record = known ?? { id, version: 0, state, changedAt: 0, endorsements: [] }
    record.version = event.version as number
    record.state = state
    if (event.type !== 'request.reviewed') record.changedAt = Date.parse(event.time)
    if (event.type === 'request.received') {
      record.received = event.data
      record.receivedAt = record.changedAt
      record.askedAt ??= record.changedAt
      record.endorsements = [] // earlier signatures were for a state that is gone
      delete record.approved
      delete record.reviewedBy
    } else if (event.type === 'request.endorsed') record.endorsements.push(event.data)
    else if (event.type === 'request.approved') {
      record.approved = event.data
      // A thief of approval's key chooses the event's time, and so whose passkeys counted.
      record.approvedAt = Math.max(record.changedAt, takenAt)
      this.#addStepUp(record, event.data.statement)
    } else if (event.type === 'request.reviewed') record.reviewedBy = event.data.by
    else if (event.type !== 'request.expired') record.closedBy = event.data.by
    this.requests.set(id, record)
    if (event.type === 'request.received') this.#addItem(record)
    return 'counts'
  }

  /** Its state as it is now, as rows that `rowReaders` take. One cut at a time. */
  cut(): IterableIterator<Row> {
    const ids = (records: Iterable<RequestRecord>) => [...records].map(({ id }) => id)
    const requests = this.#cut.begin(this.requests)
    const others: Row[] = [
      ...[...this.#items].map(([task, parts]): Row => ['items', task, ids(parts)]),
      ...[...this.#stepUps].map(([grant, stepUps]): Row => ['step-ups', grant, ids(stepUps)]),
      ...[...this.enrolments.values()].map((enrolment): Row => ['enrolment', enrolment]),
      ...[...this.stopOrders.values()].map((order): Row => ['stop-order', order]),
    ]
    return inTurn(requests, others)
  }

  get rowReaders(): RowReaders {
    const known = (ids: readonly string[]) => ids.flatMap((id) => this.requests.get(id) ?? [])
    return {
      request: (columns) => {
        const record = readRequest(columns)
        this.requests.set(record.id, record)
      },
      items: (columns) => this.#items.set(columns.text(), known(columns.texts())),
      'step-ups': (columns) => this.#stepUps.set(columns.text(), new Set(known(columns.texts()))),
      enrolment: (columns) => {
        const enrolment = columns.object<Enrolment>()
        this.enrolments.set(enrolment.enrolment_id, enrolment)
      },
      'stop-order': (columns) => {
        const order = columns.object<StopOrder>()
        this.stopOrders.set(order.revocation_id, order)
      },
    }
  }

  /** The requests of a task, in order: one, or as many of its parts as have been received. Empty: no such task. */
  ofTask(task: string): readonly RequestRecord[] {
    const whole = this.requests.get(task)
    return whole && itemOf(whole) === undefined ? [whole] : (this.#items.get(task) ?? [])
  }

  /** The approved step-ups of a grant, in the order of their events. */
  stepUpsOf(grantId: string): readonly RequestRecord[] {
    return [...(this.#stepUps.get(grantId) ?? [])].filter(({ state }) => state === 'approved')
  }

  #addStepUp(record: RequestRecord, statement: Statement): void {
    if (statement.kind !== 'step_up') return
    const known = this.#stepUps.get(statement.grant_id) ?? new Set()
    this.#stepUps.set(statement.grant_id, known.add(record))
  }

  #forgetStepUp(record: RequestRecord): void {
    const { statement } = record.approved ?? {}
    if (statement?.kind !== 'step_up') return
    const left = this.#stepUps.get(statement.grant_id)
    left?.delete(record)
    if (left?.size === 0) this.#stepUps.delete(statement.grant_id)
  }

  #addItem(record: RequestRecord): void {
    const item = itemOf(record)
    if (item === undefined || this.#items.get(item.task)?.includes(record)) return
    const parts = [...(this.#items.get(item.task) ?? []), record]
    this.#items.set(
      item.task,
      parts.sort((a, b) => (itemOf(a)?.index ?? 0) - (itemOf(b)?.index ?? 0)),
    )
  }

  #forgetItem(record: RequestRecord): void {
    const task = itemOf(record)?.task
    if (task === undefined) return
    const left = (this.#items.get(task) ?? []).filter((each) => each !== record)
    if (left.length > 0) this.#items.set(task, left)
    else this.#items.delete(task)
  }

  /** Forgets requests closed before `ms`, and approvals for a time before it. None of these can act any more. */
  forgetClosedBefore(ms: number): void {
    for (const [id, record] of this.requests) {
      const { state, changedAt, approved } = record
      // The console says so until a person has read the report.
      if (mayBeReviewed(record)) continue
      if (state === 'pending' || changedAt >= ms || (state === 'approved' && actsUntil(approved) >= ms)) continue
      this.requests.delete(id)
      this.#forgetItem(record)
      this.#forgetStepUp(record)
    }
  }
}

/** Which part of an ask a request is; undefined for an ask that was not split. */
export function itemOf({ received }: Pick<RequestRecord, 'received'>) {
  return received?.kind === 'access' ? received.item : undefined
}

const isReopened = (data: EventData<'approvals.v1', 'request.received'>) =>
  data.kind === 'access' && data.reopened !== undefined

/** Whether a person asked in an emergency: the request names a key, and no workload showed it. */
export const isOfEmergency = ({ received }: Pick<RequestRecord, 'received'>): boolean =>
  received?.kind === 'access' && received.attestation?.kind === 'emergency'

/** An emergency that people approved is reviewed once. */
export const mayBeReviewed = (record: RequestRecord) =>
  isOfEmergency(record) && record.approved !== undefined && record.reviewedBy === undefined

/**
 * While its grant lives, an approval must be remembered: a reader that forgot it would take the next event as a new beginning. A step-up
 * must be remembered as well, because a continuous grant goes on from the last one.
 */
function actsUntil(approved: RequestRecord['approved']): number {
  const statement = approved?.statement
  if (statement?.kind === 'approval') return Date.parse(statement.not_after)
  return statement?.kind === 'step_up' ? Date.parse(statement.issued_at) + longestGrantMs : 0
}

/** No grant lives longer (DESIGN §5). */
const longestGrantMs = 8 * 3600 * 1000

/** A base inside a request's life is accepted as it is. The events before it are older than anything that can still act. */
function firstState({ type, version }: { type: RequestEvent; version?: number | undefined }) {
  if (version === 1) return requestTransitions.absent[type]
  const whenPending = requestTransitions.pending[type]
  if (type === 'request.endorsed') return whenPending
  const whenApproved = requestTransitions.approved[type]
  return whenApproved === 'refused' ? whenPending : whenApproved
}
