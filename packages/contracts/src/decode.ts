import { type Envelope, envelopeSchema, maxEventBytes } from './envelope.ts'
import { parseStrictJson } from './strict-json.ts'
import { type EventData, type EventTypeOf, isVersioned, type Topic, type TopicName } from './topics.ts'

/** An event whose form is right; its signature and its effect are the projection's to judge. */
export type DecodedEvent<N extends TopicName = TopicName> = {
  [E in EventTypeOf<N>]: Omit<Envelope, 'data' | 'type'> & { type: E; data: EventData<N, E> }
}[EventTypeOf<N>]

export type Decoded =
  | { ok: true; event: Omit<Envelope, 'data'> & { data: unknown } }
  | { ok: false; code: 'event_too_large' | 'json_malformed' | 'event_malformed' | 'event_type_unknown'; detail: string }

/**
 * Strict decode of one event from the bytes on the bus: size, strict JSON, envelope, type of this topic, data, and which
 * of the producer's members must be there. Never throws, whatever the bytes are.
 */
export function decodeEvent(topic: Topic, bytes: Uint8Array): Decoded {
  if (bytes.length > maxEventBytes) return { ok: false, code: 'event_too_large', detail: `${bytes.length} bytes` }
  let json: unknown
  try {
    json = parseStrictJson(bytes)
  } catch {
    return { ok: false, code: 'json_malformed', detail: 'not strict JSON' }
  }
  const envelope = envelopeSchema.safeParse(json)
  if (!envelope.success) return { ok: false, code: 'event_malformed', detail: envelope.error.issues[0]?.message ?? '' }
  const event = envelope.data
  const schema = Object.hasOwn(topic.events, event.type) ? topic.events[event.type] : undefined
  if (schema === undefined) return { ok: false, code: 'event_type_unknown', detail: event.type.slice(0, 100) }
  if (topic.writer !== 'agents' && event.jws === undefined)
    return { ok: false, code: 'event_malformed', detail: 'jws is missing' }
  if (topic.leaf && (event.sequence === undefined || event.previous === undefined))
    return { ok: false, code: 'event_malformed', detail: 'sequence or previous is missing' }
  if (isVersioned(topic, event.type) !== (event.version !== undefined))
    return { ok: false, code: 'event_malformed', detail: 'version is missing, or must not be there' }
  const data = schema.safeParse(event.data)
  if (!data.success) {
    const issue = data.error.issues[0]
    return { ok: false, code: 'event_malformed', detail: `data.${issue?.path.join('.')}: ${issue?.message}` }
  }
  return { ok: true, event: { ...event, data: data.data } }
}
