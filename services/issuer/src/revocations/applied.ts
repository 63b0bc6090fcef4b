import type { ServiceName } from '@bailiwick/contracts'
import { takeoverMs } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'

/** A service instance that judges by revocations, and how long it took until it was heard to apply one. */
export interface Applied {
  service: ServiceName
  /** `/<service>/<instance>`; `/<service>/*` for instances beyond those that are listed one by one. */
  producer: string
  /** ms from the acknowledgement until its signed head was here; null if it was not heard to apply the revocation in time. */
  ms: number | null
}

/** Not evidence, which only records revocations. */
const judges: ReadonlySet<ServiceName> = new Set(['approval', 'issuer', 'policy-decision'])

/**
 * Resolves when every live instance's head says that the latest revocation at the time of the call counts for it, as it does here, or
 * after `withinMs`. An instance is live if it was heard within the last 3 s: otherwise it can prove nothing fresh any more, and denies. An
 * instance that says that it is stopping is no longer waited for. If more are alive than are listed one by one, the rest counts as not
 * heard.
 */
export async function whenApplied({ projection, clock }: Issuer, withinMs: number): Promise<Applied[]> {
  const { heads, revokedUpTo: offset } = projection
  const since = clock.monotonic()
  const live = heads
    .all()
    .filter(({ service, stopping, receivedAt }) => judges.has(service) && !stopping && since - receivedAt < takeoverMs)
    .map(({ service, producer }): Applied => ({ service, producer, ms: null }))
  const waiting = new Set(live)
  const gone = new Set<Applied>()
  const look = () => {
    const now = new Map(heads.all().map((instance) => [instance.producer, instance]))
    for (const instance of waiting) {
      const heard = now.get(instance.producer)
      if (heard?.stopping) {
        gone.add(instance)
        waiting.delete(instance)
      } else if (heard && heard.revokedUpTo >= offset) {
        instance.ms = clock.monotonic() - since
        waiting.delete(instance)
      }
    }
    return waiting.size === 0 ? true : undefined
  }
  const others = heads
    .crowded(since)
    .filter((service) => judges.has(service))
    .map((service): Applied => ({ service, producer: `/${service}/*`, ms: null }))
  await projection.until(look, withinMs)
  return [...live.filter((instance) => !gone.has(instance)), ...others]
}
