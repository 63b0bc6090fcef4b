import type { CertifiedKey, KeyRing, ServicePurpose } from '@bailiwick/credentials'
import type { Ledger } from './ledger.ts'

/** Whatever a service signed for others is over by then: a credential after 10 minutes, a binding token after 15. */
const outlivedMs = 3_600_000

/**
 * The keys of these purposes by which others verify (RFC 7517 §5): prepared, so that they have it in time; active; and tainted, while
 * something that it signed may live. A set that kept what is over would grow with each rotation, until readers refuse it for its size.
 */
export function publishedKeys(
  { registry }: Pick<Ledger, 'registry'>,
  keyRing: Pick<KeyRing, 'keys'>,
  purposes: ReadonlySet<ServicePurpose>,
  now: number,
): CertifiedKey[] {
  return keyRing.keys().filter(({ kid, purpose, notAfter }) => {
    if (!purposes.has(purpose) || !(now < notAfter)) return false
    const record = registry.record('service-key', kid)
    return record?.value?.state !== 'tainted' || now < record.changedAt + outlivedMs
  })
}
