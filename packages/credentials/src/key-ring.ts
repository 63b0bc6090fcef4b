import { type EventPurpose, eventKeyId, verifyEventSignature } from './event-signature.ts'
import { type VerifyingKey, verifyingKey } from './keys.ts'
import { mayBeSignedFor } from './kinds.ts'
import {
  type ServiceKeyCertificate,
  type ServicePurpose,
  verifyServiceKeyCertificate,
} from './service-key-certificate.ts'
import { anchorKey, type Trust } from './trust.ts'
import { refused, type Verified } from './verified.ts'

/** A service's key, as the root certified it. Times in ms since the epoch; valid from `notBefore` until before `notAfter`. */
export interface CertifiedKey<P extends ServicePurpose = ServicePurpose> extends VerifyingKey<P> {
  readonly service: ServiceKeyCertificate['service']
  readonly topics: readonly string[]
  readonly notBefore: number
  readonly notAfter: number
}

/**
 * The keys that one reader believes, each led back to the trust anchor. Fed from `service-key.*` events in the registry's
 * order; it never learns a key from anything else.
 */
export class KeyRing {
  readonly trust: Trust
  readonly root: VerifyingKey<'root'>
  readonly invitation: VerifyingKey<'invitation'>
  readonly #keys = new Map<string, CertifiedKey>()
  /** When those that were revoked were: ms since the epoch. */
  readonly #revoked = new Map<string, number>()

  constructor(trust: Trust) {
    this.trust = trust
    this.root = anchorKey(trust, 'root')
    this.invitation = anchorKey(trust, 'invitation')
  }

  /**
   * Takes a key that the root certified; with `now`, only one that is valid then. A key that is known keeps its purpose
   * and service, and a further certificate can only narrow its topics and validity (`registry_change_conflict`): whoever
   * replays an older one wins nothing. To live longer, rotate.
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
   * Ends a key's validity at this time, if it does not end before. What it signed earlier stays signed: events are history. What is
   * judged by `now` alone ends at once, though the clock of whoever revoked it may be ahead of this one (V7).
   */
  retire(kid: string, atMs: number, now = atMs): void {
    const key = this.#keys.get(kid)
    if (key === undefined) return
    const endsAt = signsEvents(key) ? atMs : Math.min(atMs, now)
    this.#keys.set(kid, { ...key, notAfter: Math.min(key.notAfter, endsAt) })
    this.#revoked.set(kid, Math.min(this.#revoked.get(kid) ?? atMs, atMs))
  }

  /** The key of this name if it is certified for this purpose and valid at this time. */
  find<P extends ServicePurpose>(kid: string, purpose: P, atMs: number): Verified<CertifiedKey<P>> {
    const key = this.#keys.get(kid)
    if (key === undefined) return refused('key_unknown', 'the key is not certified')
    if (!hasPurpose(key, purpose)) return refused('key_purpose_wrong', `a key for ${key.purpose}`)
    if (!isValidAt(key, atMs)) return refused('token_expired', 'the key is not valid at this time')
    return { ok: true, value: key }
  }

  /** Every certified key, retired ones included. */
  keys(): readonly CertifiedKey[] {
    return [...this.#keys.values()]
  }

  /**
   * Verifies a signed event of a topic as every reader must (DESIGN §4): signed by a key that the root certified for events,
   * for this topic, valid at the time that the event states. Gives the bytes that were signed. `takenAt` is when the bus took
   * it, where that is known: whoever has a revoked key states whatever time it likes.
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

  /** All of `verifyEvent` but the signature itself: only for the very bytes that this process has just signed. */
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

/** So long may an event that was signed be on its way until the bus takes it: a numbered one is repeated until durable. */
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
