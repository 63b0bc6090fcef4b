import { ServiceError } from '@bailiwick/errors'
import { type RequestRecord, type RequestStateName, requestTransitions } from '../request-life.ts'
import type { Columns, Row } from './row.ts'

export const requestRow = (record: RequestRecord): Row => [
  'request',
  record.id,
  record.version,
  record.state,
  record.changedAt,
  record.receivedAt ?? null,
  record.approvedAt ?? null,
  record.askedAt ?? null,
  record.received ?? null,
  [...record.endorsements],
  record.approved ?? null,
  record.closedBy ?? null,
  record.reviewedBy ?? null,
]

export function readRequest(columns: Columns): RequestRecord {
  const [id, version, state, changedAt] = [columns.text(), columns.whole(), columns.text(), columns.whole()]
  if (!Object.hasOwn(requestTransitions, state))
    throw new ServiceError('invariant_broken', 'a cut has a request of no state')
  const whole = () => columns.maybe((column) => column.whole())
  const [receivedAt, approvedAt, askedAt] = [whole(), whole(), whole()]
  const received = columns.maybe((column) => column.object<NonNullable<RequestRecord['received']>>())
  const endorsements = columns.list() as RequestRecord['endorsements']
  const approved = columns.maybe((column) => column.object<NonNullable<RequestRecord['approved']>>())
  const closedBy = columns.maybe((column) => column.text())
  const reviewedBy = columns.maybe((column) => column.text())
  return {
    ...{ id, version, state: state as RequestStateName, changedAt, endorsements },
    ...(receivedAt === undefined ? {} : { receivedAt }),
    ...(approvedAt === undefined ? {} : { approvedAt }),
    ...(askedAt === undefined ? {} : { askedAt }),
    ...(received === undefined ? {} : { received }),
    ...(approved === undefined ? {} : { approved }),
    ...(closedBy === undefined ? {} : { closedBy }),
    ...(reviewedBy === undefined ? {} : { reviewedBy }),
  }
}
