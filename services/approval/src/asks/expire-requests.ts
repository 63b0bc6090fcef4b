import { errorCode } from '@bailiwick/errors'
import type { RequestRecord } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { inTurn } from '../requests.ts'

/** The period that readers look back: the request that was approved last may still be withdrawn. */
export const rememberMs = 9 * 3600 * 1000

/** Publishes that each unanswered ask is over once its time is up. Answers do not wait for this; they judge by the clock. */
export async function expireRequests(approval: Approval): Promise<void> {
  const { projection, logger } = approval
  for (const record of projection.ledger.requests.requests.values()) {
    if (!isOver(approval, record)) continue
    await inTurn(approval, record.id, () => expire(approval, record)).catch((error) =>
      logger.warn({ error_code: errorCode(error), request_id: record.id }, 'could not expire a request'),
    )
  }
}

/** Forgets requests that ended long ago, with their words. It looks at each request that is remembered, so call it rarely. */
export function forgetRequests({ projection, clock, own, prose }: Approval): void {
  const { ledger } = projection
  ledger.forgetEndedBefore(clock.now() - rememberMs)
  own.forget()
  const needed = new Set<string>()
  for (const { received } of ledger.requests.requests.values())
    if (received !== undefined && received.kind !== 'registry')
      for (const words of [received.purpose, received.arguments]) if (words) needed.add(words.salted_sha256)
  prose.forgetAllBut(needed)
}

async function expire(approval: Approval, record: RequestRecord): Promise<void> {
  if (!isOver(approval, record)) return // it was answered while this waited for its turn
  await approval.producer.publishOne('approvals.v1', {
    type: 'request.expired',
    subject: record.id,
    version: record.version + 1,
    data: { request_id: record.id },
  })
}

function isOver({ clock }: Approval, record: RequestRecord): boolean {
  if (record.state !== 'pending') return false
  const { received } = record
  return received !== undefined && Date.parse(received.expires_at) <= clock.now()
}
