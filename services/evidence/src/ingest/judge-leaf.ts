import type { Message } from '@bailiwick/bus'
import { type DecodedEvent, decodeEvent, topicNamed } from '@bailiwick/contracts'
import type { ErrorCode } from '@bailiwick/errors'
import type { Participant } from '@bailiwick/instance'

/**
 * Whether a message may be a leaf. `unreadable`: it cannot be decoded. `unsigned`: it decodes as an event, but no key that is certified
 * for this topic signed it, so it is a forgery. An event without effect (void) is signed, and is a leaf. `refused`: the event would have
 * changed the registry without a valid authorisation.
 */
export type LeafVerdict =
  | { kind: 'leaf'; event: DecodedEvent; refused?: ErrorCode }
  | { kind: 'unreadable'; code: ErrorCode }
  | { kind: 'unsigned'; code: ErrorCode; eventId: string }

export type Refusal = Exclude<LeafVerdict, { kind: 'leaf' }>

/** How long a key may take to arrive through the registry, in ms: the registry is a topic of its own. */
const registryMs = 5000

/** Rejects with `deadline_exceeded` if the registry cannot be read: then there is no verdict. */
export async function judgeLeaf(
  message: Message,
  { keyRing, projection }: Pick<Participant, 'keyRing' | 'projection'>,
  registryEnd: () => Promise<number>,
): Promise<LeafVerdict> {
  const topic = topicNamed(message.topic)
  if (topic === undefined) return { kind: 'unreadable', code: 'event_type_unknown' }
  const decoded = decodeEvent(topic, message.bytes)
  if (!decoded.ok) return { kind: 'unreadable', code: decoded.code }
  const event = decoded.event as DecodedEvent
  if (event.partitionkey !== message.key) return { kind: 'unreadable', code: 'event_malformed' }
  const verify = () => keyRing.verifyEvent(message.bytes, message.topic, Date.parse(event.time), message.timestamp)
  // The registry certifies keys, its own first. It is therefore folded up to this event before the event is judged.
  const folded = async (offset: number) =>
    projection.waitFor({ topic: 'registry.v1', partition: 0, offset }, registryMs)
  if (message.topic === 'registry.v1') await folded(message.offset)
  let verified = verify()
  if (!verified.ok && verified.code === 'key_unknown' && message.topic !== 'registry.v1') {
    await folded((await registryEnd()) - 1)
    verified = verify()
  }
  if (!verified.ok) return { kind: 'unsigned', code: verified.code, eventId: event.id }
  if (!event.source.startsWith(`/${verified.value.key.service}/`))
    return { kind: 'unsigned', code: 'key_purpose_wrong', eventId: event.id }
  return message.topic === 'registry.v1' && !stands(projection, event as DecodedEvent<'registry.v1'>)
    ? { kind: 'leaf', event, refused: 'registry_change_refused' }
    : { kind: 'leaf', event }
}

/** Whether the registry already holds this. A repetition, for example by a standby, changes nothing and is not suspicious. */
function stands({ ledger }: Participant['projection'], { data, version }: DecodedEvent<'registry.v1'>): boolean {
  return ledger.registry.stands(data, version ?? 0)
}
