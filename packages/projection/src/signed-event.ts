import type { Message } from '@bailiwick/bus'
import { type DecodedEvent, decodeEvent, topicNamed } from '@bailiwick/contracts'
import type { KeyRing } from '@bailiwick/credentials'
import type { ErrorCode } from '@bailiwick/errors'

/** An event whose form and signature are right, and the key that signed it; an agent's has its own signature inside. */
export interface SignedEvent {
  event: DecodedEvent
  kid: string
}

/**
 * Reads one message by itself: form, place, signature by a key that is certified for this topic, and its own service. `isOwn`: whether these
 * are the very bytes that this process has just signed under this id; then their signature is not verified once more.
 */
export function signedEvent(
  keyRing: KeyRing,
  { topic, key, bytes, timestamp }: Message,
  isOwn: (id: string) => boolean = () => false,
): SignedEvent | ErrorCode {
  const definition = topicNamed(topic)
  if (!definition) return 'event_type_unknown'
  const decoded = decodeEvent(definition, bytes)
  if (!decoded.ok) return decoded.code
  const event = decoded.event as DecodedEvent
  if (event.partitionkey !== key) return 'event_malformed'
  if (definition.writer === 'agents') return { event, kid: '' }
  // A service key's event carries its own certificate by the root: that is where trust in keys begins.
  if (event.type === 'service-key.registered' || event.type === 'service-key.changed')
    keyRing.certify(event.data.value.certificate)
  const at = Date.parse(event.time)
  const signer = isOwn(event.id)
    ? keyRing.claimedSigner(bytes, topic, at, timestamp)
    : keyRing.verifyEvent(bytes, topic, at, timestamp)
  if (!signer.ok) return signer.code
  const { service, kid } = signer.value.key
  return event.source.startsWith(`/${service}/`) && speaksOfItself(event, service)
    ? { event, kid }
    : 'key_purpose_wrong'
}

/** Every service may write heads, each of itself alone: else whoever stole one key could prove a dead issuer fresh (V8). */
function speaksOfItself(event: DecodedEvent, service: string): boolean {
  const { type, source, data } = event
  return type !== 'head.published' || (data.producer === source && data.service === service)
}
