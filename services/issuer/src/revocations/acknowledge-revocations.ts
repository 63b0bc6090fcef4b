import { errorCode } from '@bailiwick/errors'
import type { Fact } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'

const retryAfterMs = 500

/**
 * Publishes `revocation.acknowledged` for each revocation as soon as the revocation was read back, so that evidence holds the moment from
 * which V7's bound runs. The revocation's own `time` is earlier, by the time that the revocation was on its way. A successor acknowledges
 * the last revocation of its predecessor. No answer to a revocation waits for this record.
 */
export function acknowledgeRevocations(issuer: Issuer): AsyncDisposable {
  const { projection, producer, maxStalenessMs, logger } = issuer
  const { revocations } = projection.ledger
  const underWay = new Set<Promise<void>>()
  let retry: NodeJS.Timeout | undefined
  let stopping = false
  const acknowledge = (sequence: number) => {
    const said = publish(sequence).finally(() => underWay.delete(said))
    underWay.add(said)
  }
  const publish = async (sequence: number) => {
    try {
      const data = { sequence, max_staleness_ms: maxStalenessMs }
      const subject = `revocation ${sequence}`
      await producer.publish('revocations.v1', [{ type: 'revocation.acknowledged', subject, key: 'revocations', data }])
    } catch (error) {
      // An issuer whose heads lapsed may recover. One that was succeeded ends, and its successor records the acknowledgement.
      logger.warn({ error_code: errorCode(error), sequence }, 'a revocation could not be acknowledged yet')
      if (!stopping) retry ??= setTimeout(acknowledgeNewest, retryAfterMs)
    }
  }
  const acknowledgeNewest = () => {
    retry = undefined
    if (revocations.acknowledged < revocations.sequence) acknowledge(revocations.sequence)
  }
  const unsubscribe = projection.onFact(({ event, verdict }: Fact) => {
    if (event.type === 'revocation.declared' && verdict === 'counts') acknowledge(event.version ?? 0)
  })
  acknowledgeNewest()
  return {
    async [Symbol.asyncDispose]() {
      stopping = true
      clearTimeout(retry)
      unsubscribe()
      await Promise.all(underWay)
    },
  }
}
