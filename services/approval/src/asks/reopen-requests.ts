import { agentIdOf, type DecodedEvent } from '@bailiwick/contracts'
import { errorCode, errorKinds } from '@bailiwick/errors'
import { type Fact, type RequestRecord, voidedBy } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { inTurn } from '../requests.ts'

const againMs = 500

/**
 * Asks people again for approvals that had no effect because policy or a tool's manifest changed before the issuer made the grant. It does
 * so once for each refusal, since the request is then pending. It derives the work from state, so that a start does what was left to do.
 * The ask itself stays the same, to the letter; its statement is rendered and signed again.
 */
export function reopenRequests(approval: Approval): AsyncDisposable {
  const { projection, logger } = approval
  const { grants, requests } = projection.ledger
  const waiting = new Set<NodeJS.Timeout>()
  const running = new Set<Promise<void>>()
  let stopping = false
  const look = (record: RequestRecord): void => {
    if (voidedBy(record, grants, approval.clock.now()) === undefined) return
    const work = inTurn(approval, record.id, () => reopen(approval, record.id))
      .catch((error) => {
        const code = errorCode(error)
        logger.warn({ error_code: code, request_id: record.id }, 'could not ask again')
        if (stopping || !errorKinds[code].retryable) return
        const timer = setTimeout(() => {
          waiting.delete(timer)
          look(record)
        }, againMs)
        waiting.add(timer)
      })
      .finally(() => running.delete(work))
    running.add(work)
  }
  const unsubscribe = projection.onFact(({ topic, verdict, event }: Fact) => {
    if (verdict !== 'counts') return
    if (topic === 'approvals.v1' && event.type === 'request.approved') {
      // Topics are read in parallel: the refusal may have come before the approval.
      const approved = requests.requests.get(event.subject)
      if (approved) look(approved)
    }
    if (topic !== 'grants.v1' || event.type !== 'credential.refused') return
    const { data } = event as DecodedEvent<'grants.v1'> & { type: 'credential.refused' }
    // The newest first: an issuer answers an approval at once.
    const refused = approval.own
      .of(agentIdOf(data.agent))
      .findLast(({ approved }) => approved !== undefined && `grt_${approved.statement_hash}` === data.grant_id)
    if (refused) look(refused)
  })
  for (const record of requests.requests.values()) look(record)
  return {
    async [Symbol.asyncDispose]() {
      stopping = true
      unsubscribe()
      for (const timer of waiting) clearTimeout(timer)
      await Promise.all(running)
    },
  }
}

async function reopen({ projection, producer, clock, requestLifeMs }: Approval, id: string): Promise<void> {
  const now = clock.now()
  const { grants, requests } = projection.ledger
  const record = requests.requests.get(id)
  if (record === undefined) return
  const reopened = voidedBy(record, grants, now)
  const { received } = record
  if (reopened === undefined || received?.kind !== 'access') return // it was asked again while this waited for its turn
  const expires_at = new Date(Math.min(now + requestLifeMs, Date.parse(received.not_after))).toISOString()
  await producer.publishOne('approvals.v1', {
    type: 'request.received',
    subject: record.id,
    version: record.version + 1,
    data: { ...received, reopened, expires_at },
  })
}
