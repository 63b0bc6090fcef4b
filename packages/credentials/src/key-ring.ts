import { type EventPurpose, eventKeyId, verifyEventSignature, verifyEventSignatureAside } from './event-signature.ts'
import { type VerifyingKey, verifyingKey } from './keys.ts'
import { mayBeSignedFor } from './kinds.ts'
import {
  type ServiceKeyCertificate,
  type ServicePurpose,
  verifyServiceKeyCertificate,
} from './service-key-certificate.ts'
import { anchorKey, type Trust } from './trust.ts'
import { refused, type Verified } from './verified.ts'

/** A service's key, as certified by the root. Times in ms since the epoch; valid from `notBefore` until before `notAfter`. */
export interface CertifiedKey<P extends ServicePurpose = ServicePurpose> extends VerifyingKey<P> {
  readonly service: ServiceKeyCertificate['service']
  readonly topics: readonly string[]
  readonly notBefore: number
  readonly notAfter: number
}

/**
 * The keys that one reader believes, each traced back to the trust anchor. It learns keys only from `service-key.*` events, in the
 * registry's order.
 */
export class KeyRing {
  readonly trust: Trust
  readonly root: VerifyingKey<'root'>
  readonly invitation: VerifyingKey<'invitation'>
  readonly #keys = new Map<string, CertifiedKey>()
  /** When revoked keys were revoked: ms since the epoch. */
  readonly #revoked = new Map<string, number>()

  constructor(trust: Trust) {
    this.trust = trust
    this.root = anchorKey(trust, 'root')
    this.invitation = anchorKey(trust, 'invitation')
  }

  /**
   * Accepts a key that the root certified; with `now`, only if the key is valid then. A known key keeps its purpose and service, and a
   * further certificate can only narrow its topics and validity (`registry_change_conflict`), so replaying an older certificate gains
   * nothing. To extend a key's life, rotate it.
   */
  certify(certificate: string, now?: number): Verified<CertifiedKey> {
    const { root, trust } = this
    const verified = verifyServiceKeyCertificate({ certificate, key: root, installation: trust.installation })
    if (!verified.ok) return verified
    const key = certifiedKey(verified.value)
    if (key === undefined) return refused('token_malformed', 'serviceKey: jwk')
    if (now !== undefined && !isValidAt(key, now)) return refused('token_expired', 'serviceKey: not valid now')
    const known = this.#keys.get(key.kid)
    if (known !== undefined && !isWithin(key, known))
      return refused('registry_change_conflict', 'serviceKey: wider than what is certified')
    this.#keys.set(key.kid, key)
    return { ok: true, value: key }
  }

  /**
   * Ends a key's validity at this time, unless it ends earlier. Its earlier signatures stay valid, because events are history. What is
   * judged by `now` alone ends at once, even if the revoker's clock is ahead of this one (V7).
   */
  retire(kid: string, atMs: number, now = atMs): void {
    const key = this.#keys.get(kid)
    if (key === undefined) return
    const endsAt = signsEvents(key) ? atMs : Math.min(atMs, now)
    this.#keys.set(kid, { ...key, notAfter: Math.min(key.notAfter, endsAt) })
    this.#revoked.set(kid, Math.min(this.#revoked.get(kid) ?? atMs, atMs))
  }

  /** The key with this id, if it is certified for this purpose and valid at this time. */
  find<P extends ServicePurpose>(kid: string, purpose: P, atMs: number): Verified<CertifiedKey<P>> {
    const key = this.#keys.get(kid)
    if (key === undefined) return refused('key_unknown', 'the key is not certified')
    if (!hasPurpose(key, purpose)) return refused('key_purpose_wrong', `a key for ${key.purpose}`)
    if (!isValidAt(key, atMs)) return refused('token_expired', 'the key is not valid at this time')
    return { ok: true, value: key }
  }

  /** Every certified key, including retired ones. */
  keys(): readonly CertifiedKey[] {
    return [...this.#keys.values()]
  }

  /**
   * Verifies a signed event of a topic as every reader must (DESIGN §4): signed by a key that the root certified for events, for this
   * topic, and that is valid at the time that the event states. Returns the signed bytes. `takenAt` is when the bus accepted the event,
   * where that is known: the thief of a revoked key can state any time.
   */
  verifyEvent(
    event: Uint8Array,
    topic: string,
    atMs: number,
    takenAt = atMs,
  ): Verified<{ unsigned: Uint8Array; key: CertifiedKey<EventPurpose> }> {
    const signer = this.claimedSigner(event, topic, atMs, takenAt)
    if (!signer.ok) return signer
    const { key } = signer.value
    const verified = verifyEventSignature(event, key)
    return verified.ok ? { ok: true, value: { unsigned: verified.value.unsigned, key } } : verified
  }

  /**
   * Verifies the signature alone, in a thread of Node's pool, while earlier events are still being judged. If it resolves with true,
   * `claimedSigner` judges the same bytes as `verifyEvent` does: a key id is a thumbprint, so no later certificate gives it another key or
   * purpose. false says nothing: the key may become known later.
   */
  async verifyAhead(event: Uint8Array): Promise<boolean> {
    const key = this.#keys.get(eventKeyId(event) ?? '')
    return key !== undefined && signsEvents(key) && (await verifyEventSignatureAside(event, key))
  }

  /**
   * All checks of `verifyEvent` except the signature itself: only for exactly the bytes that this process has just signed, or that
   * `verifyAhead` has verified.
   */
  claimedSigner(
    event: Uint8Array,
    topic: string,
    atMs: number,
    takenAt: number,
  ): Verified<{ key: CertifiedKey<EventPurpose> }> {
    const kid = eventKeyId(event)
    if (kid === undefined) return refused('event_malformed', 'jws is missing, not last or not detached')
    const key = this.#keys.get(kid)
    if (key === undefined) return refused('key_unknown', 'the key is not certified')
    if (!signsEvents(key)) return refused('key_purpose_wrong', `a key for ${key.purpose}`)
    if (!key.topics.includes(topic)) return refused('key_purpose_wrong', 'the key is not certified for this topic')
    if (!isValidAt(key, atMs)) return refused('token_expired', 'the key is not valid at this time')
    if (takenAt - underWayMs >= (this.#revoked.get(kid) ?? Number.POSITIVE_INFINITY))
      return refused('token_expired', 'the key was revoked before')
    return { ok: true, value: { key } }
  }
}

/** The longest time from an event's signature until the bus accepts it: a numbered event is repeated until durable. */
const underWayMs = 60_000

function certifiedKey(certificate: ServiceKeyCertificate): CertifiedKey | undefined {
  const key = verifyingKey(certificate.purpose, certificate.jwk)
  return (
    key && {
      ...key,
      service: certificate.service,
      topics: certificate.topics,
      notBefore: Date.parse(certificate.not_before),
      notAfter: Date.parse(certificate.not_after),
    }
  )
}

function isValidAt(key: CertifiedKey, atMs: number): boolean {
  return key.notBefore <= atMs && atMs < key.notAfter
}

function isWithin(next: CertifiedKey, known: CertifiedKey): boolean {
  return (
    next.purpose === known.purpose &&
    next.topics.every((topic) => known.topics.includes(topic)) &&
    known.notBefore <= next.notBefore &&
    next.notAfter <= known.notAfter
  )
}

function hasPurpose<P extends ServicePurpose>(key: CertifiedKey, purpose: P): key is CertifiedKey<P> {
  return key.purpose === purpose
}

function signsEvents(key: CertifiedKey): key is CertifiedKey<EventPurpose> {
  return mayBeSignedFor('event', key.purpose)
}
