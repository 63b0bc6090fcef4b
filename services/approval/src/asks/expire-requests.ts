import { errorCode } from '@bailiwick/errors'
import type { RequestRecord } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { inTurn } from '../requests.ts'

/** The period that readers look back: the request that was approved last may still be withdrawn. */
export const rememberMs = 9 * 3600 * 1000

/** Publishes that each unanswered ask is over once its time is up. Answers do not wait for this; they judge by the clock. */
export async function expireRequests(approval: Approval): Promise<void> {
  const { projection, clock, prose, logger } = approval
  const { ledger } = projection
  for (const record of ledger.requests.requests.values()) {
    if (!isOver(approval, record)) continue
    await inTurn(approval, record.id, () => expire(approval, record)).catch((error) =>
      logger.warn({ error_code: errorCode(error), request_id: record.id }, 'could not expire a request'),
    )
  }
  ledger.forgetEndedBefore(clock.now() - rememberMs)
  approval.own.forget()
  const needed = [...ledger.requests.requests.values()].flatMap(({ received }) =>
    received === undefined || received.kind === 'registry'
      ? []
      : [received.purpose, received.arguments].flatMap((each) => each?.salted_sha256 ?? []),
  )
  prose.forgetAllBut(new Set(needed))
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

function isOver({ clock }: Approval, { state, received }: RequestRecord): boolean {
  return state === 'pending' && received !== undefined && Date.parse(received.expires_at) <= clock.now()
}
