import { errorCode } from '@bailiwick/errors'
import type { Fact } from '@bailiwick/projection'
import type { Issuer } from './context.ts'

/**
 * Records of each revocation, as soon as it was read back, that it is durable and counts: the moment from which V7's bound runs stands in
 * evidence. The event's own `time` cannot say that, since it is older by as long as the revocation was on its way. A successor
 * records it of what its predecessor declared last. No answer to a revocation waits for this record.
 */
export function acknowledgeRevocations(issuer: Issuer): AsyncDisposable {
  const { projection, producer, maxStalenessMs, logger } = issuer
  const underWay = new Set<Promise<void>>()
  const acknowledge = (sequence: number) => {
    const said = producer
      .publish('revocations.v1', [
        {
          type: 'revocation.acknowledged',
          subject: `revocation ${sequence}`,
          key: 'revocations',
          data: { sequence, max_staleness_ms: maxStalenessMs },
        },
      ])
      .then(
        () => undefined,
        // Whoever acts next records it; an event that has its number and is not durable was told to `onFatal`.
        (error) => logger.warn({ error_code: errorCode(error), sequence }, 'a revocation could not be acknowledged'),
      )
      .finally(() => underWay.delete(said))
    underWay.add(said)
  }
  const unsubscribe = projection.onFact(({ event, verdict }: Fact) => {
    if (event.type === 'revocation.declared' && verdict === 'counts') acknowledge(event.version ?? 0)
  })
  const { sequence, acknowledged } = projection.ledger.revocations
  if (acknowledged < sequence) acknowledge(sequence)
  return {
    async [Symbol.asyncDispose]() {
      unsubscribe()
      await Promise.all(underWay)
    },
  }
}
