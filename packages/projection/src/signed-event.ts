import { type DecodedEvent, decodeEvent, topicNamed } from '@bailiwick/contracts'
import type { KeyRing } from '@bailiwick/credentials'
import type { ErrorCode } from '@bailiwick/errors'

/** An event's bytes, with what the bus says of them. A reader of a log states the same from the event itself. */
export interface Message {
  topic: string
  key: string
  bytes: Uint8Array
  /** ms since the epoch, set by the bus when it took the event. */
  timestamp: number
}

/** An event whose form and signature are verified, and the key that signed it. An agent's event has the agent's own signature inside. */
export interface SignedEvent {
  event: DecodedEvent
  kid: string
}

/**
 * Reads one message by itself: form, place, signature by a key that is certified for this topic, and that the service speaks of itself.
 * `isVerified`: whether the signature of these exact bytes need not be verified again, because this process has just signed them under
 * this id, or has verified it ahead.
 */
export function signedEvent(
  keyRing: KeyRing,
  { topic, key, bytes, timestamp }: Message,
  isVerified: (id: string) => boolean = () => false,
): SignedEvent | ErrorCode {
  const definition = topicNamed(topic)
  if (!definition) return 'event_type_unknown'
  const decoded = decodeEvent(definition, bytes)
  if (!decoded.ok) return decoded.code
  const event = decoded.event as DecodedEvent
  if (event.partitionkey !== key) return 'event_malformed'
  if (definition.writer === 'agents') return { event, kid: '' }
  // The event of a service key carries the key's certificate by the root. Trust in keys begins there.
  if (event.type === 'service-key.registered' || event.type === 'service-key.changed')
    keyRing.certify(event.data.value.certificate)
  const at = Date.parse(event.time)
  const signer = isVerified(event.id)
    ? keyRing.claimedSigner(bytes, topic, at, timestamp)
    : keyRing.verifyEvent(bytes, topic, at, timestamp)
  if (!signer.ok) return signer.code
  const { service, kid } = signer.value.key
  return event.source.startsWith(`/${service}/`) && speaksOfItself(event, service)
    ? { event, kid }
    : 'key_purpose_wrong'
}

/** Every service may write heads, but only its own. Otherwise a thief of any one key could prove a dead issuer fresh (V8). */
function speaksOfItself(event: DecodedEvent, service: string): boolean {
  const { type, source, data } = event
  return type !== 'head.published' || (data.producer === source && data.service === service)
}
