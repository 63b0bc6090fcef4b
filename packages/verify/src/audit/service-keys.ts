import type { ServiceKey } from '@bailiwick/contracts'
import type { Trust } from '@bailiwick/credentials'
import { openEvent, verifiedClaims } from './jws.ts'
import { type Leaf, onTopic } from './leaf.ts'

type Certified = Pick<ServiceKey, 'service' | 'purpose' | 'topics' | 'jwk'> & {
  from: number
  until: number
  /** The time from which it must sign nothing more. */
  silentFrom?: number
}

/** How long a service may take to notice that another key signs; a longer time is a finding. */
const followedMs = 2000

/** The service whose events a purpose signs; the root certifies nothing else (DESIGN §3). */
const signers: Partial<Record<ServiceKey['purpose'], ServiceKey['service']>> = {
  'issuer-event': 'issuer',
  'approval-event': 'approval',
  'pdp-event': 'policy-decision',
  'evidence-event': 'evidence',
}

/** The keys that the log itself certifies, each with a certificate of the anchor's root key. */
export class ServiceKeys {
  readonly #trust: Trust
  readonly #keys = new Map<string, Certified>()
  /** The key of each purpose that became active last. */
  readonly #signs = new Map<string, string>()

  constructor(trust: Trust, leaves: readonly Leaf[]) {
    this.#trust = trust
    for (const { event, at } of onTopic(leaves, 'registry.v1')) {
      if (event.type === 'service-key.registered' || event.type === 'service-key.changed')
        this.#certify(event.data.value.certificate)
      if (event.type === 'service-key.changed') this.#silence(event.data.value, at)
      if (event.type === 'service-key.retired') this.#retire(event.data.entity.id, at)
    }
  }

  /** The first certificate defines a key; a later one can only restrict it. */
  #certify(certificate: string): void {
    const claims = verifiedClaims(certificate, this.#trust.root.jwk, 'bailiwick-key+jws') as
      | (Omit<ServiceKey, 'id' | 'certificate'> & { kid: string; installation: string })
      | undefined
    if (claims === undefined || claims.installation !== this.#trust.installation) return
    const { kid, service, purpose, topics, jwk } = claims
    const [from, until] = [Date.parse(claims.not_before), Date.parse(claims.not_after)]
    const known = this.#keys.get(kid)
    if (known === undefined) {
      this.#keys.set(kid, { service, purpose, topics, jwk, from, until })
      if (!this.#signs.has(purpose)) this.#signs.set(purpose, kid)
    } else if (known.purpose === purpose && from >= known.from && until <= known.until)
      this.#keys.set(kid, { ...known, topics: topics.filter((name) => known.topics.includes(name)), from, until })
  }

  /** Silences a tainted key. When a key becomes active, silences the one before it. */
  #silence({ id, purpose, state }: ServiceKey, at: number): void {
    const [silent, signs] = state === 'active' ? [this.#signs.get(purpose), id] : [id, undefined]
    const key = silent === undefined ? undefined : this.#keys.get(silent)
    if (key !== undefined && state !== 'prepared') key.silentFrom = Math.min(key.silentFrom ?? at, at)
    if (signs !== undefined) this.#signs.set(purpose, signs)
  }

  #retire(kid: string, at: number): void {
    const key = this.#keys.get(kid)
    if (key !== undefined) key.until = Math.min(key.until, at)
  }

  /** Whether it may sign anew; otherwise only its earlier signatures may still count. */
  maySign(kid: string, at: number): boolean {
    return at <= (this.#keys.get(kid)?.silentFrom ?? Number.POSITIVE_INFINITY) + followedMs
  }

  find(kid: string, purpose: ServiceKey['purpose'], at: number): Certified | undefined {
    const key = this.#keys.get(kid)
    return key?.purpose === purpose && key.from <= at && at < key.until ? key : undefined
  }

  /** The reason why an event is not authentic (V12); undefined when it is. */
  problemOf({ event, topic, bytes, at }: Leaf): string | undefined {
    const opened = openEvent(bytes)
    if (opened === undefined || opened.typ !== 'bailiwick-event+jws') return 'jws is missing, not last or not detached'
    const key = this.#keys.get(opened.kid)
    if (key === undefined) return 'an uncertified key'
    const service = signers[key.purpose]
    if (service === undefined || service !== key.service) return `a key for ${key.purpose}`
    if (!key.topics.includes(topic)) return `a key that is not certified for ${topic}`
    if (!(key.from <= at && at < key.until)) return 'a key that is not valid at the time of the event'
    if (!this.maySign(opened.kid, at)) return 'a key that was to sign no more'
    if (!event.source.startsWith(`/${service}/`)) return `a key of ${service} under source ${event.source}`
    return opened.verifies(key.jwk) ? undefined : 'the signature does not verify'
  }
}
