import type { ServiceName } from '@bailiwick/contracts'
import { revokedUpTo, takeoverMs } from '@bailiwick/projection'
import type { Issuer } from './context.ts'

/** One service instance that judges by revocations, and how it was heard to apply one. */
export interface Applied {
  service: ServiceName
  /** `/<service>/<instance>` */
  producer: string
  /** ms from the acknowledgement until its signed head was here; null: it was not heard to apply it in time. */
  ms: number | null
}

/** Evidence only writes down what was revoked. */
const judges: ReadonlySet<ServiceName> = new Set(['approval', 'issuer', 'policy-decision'])

/**
 * Resolves when every live instance's head says that the last revocation of now counts for it, as it does here, or after `withinMs`. Live is who was heard
 * within the last 3 s: who was not can prove nothing fresh any more, and denies. One that says that it stops is no longer waited for.
 */
export async function whenApplied({ projection, clock }: Issuer, withinMs: number): Promise<Applied[]> {
  const offset = projection.revokedUpTo
  const since = clock.monotonic()
  const live = projection.heads
    .all()
    .filter(({ head, receivedAt }) => judges.has(head.service) && !head.stopping && since - receivedAt < takeoverMs)
    .map(({ head: { service, producer } }): Applied => ({ service, producer, ms: null }))
  const waiting = new Set(live)
  const look = () => {
    for (const instance of waiting) {
      const head = projection.heads.of(instance.producer)?.head
      if (head?.stopping) waiting.delete(instance)
      else if (head && revokedUpTo(head) >= offset) {
        instance.ms = clock.monotonic() - since
        waiting.delete(instance)
      }
    }
    return waiting.size === 0 ? true : undefined
  }
  await projection.until(look, withinMs)
  return live.filter(({ producer, ms }) => ms !== null || !projection.heads.of(producer)?.head.stopping)
}
