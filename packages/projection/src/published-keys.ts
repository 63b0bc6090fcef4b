import type { CertifiedKey, KeyRing, ServicePurpose } from '@bailiwick/credentials'
import type { Ledger } from './ledger.ts'

/** Anything that a service signed for others has expired by then: a credential after 10 minutes, a binding token after 15. */
const outlivedMs = 3_600_000

/**
 * The keys of these purposes with which others verify (RFC 7517 §5): prepared keys, so that verifiers have them in time; active keys; and
 * tainted keys, while something that they signed may live. A set that kept expired keys would grow with each rotation, until readers refuse
 * it for its size.
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
