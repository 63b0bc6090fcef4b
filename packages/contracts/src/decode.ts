import { parseStrictJson } from '@bailiwick/kit/json'
import type { z } from 'zod'
import { type Envelope, envelopeSchema, maxEventBytes } from './envelope.ts'
import { exactMatch } from './exact-match.ts'
import {
  type EventData,
  type EventTypeOf,
  type ProducerMember,
  producerMembers,
  type Topic,
  type TopicName,
} from './topics.ts'

/** An event with a valid form; the projection judges its signature and its effect. */
export type DecodedEvent<N extends TopicName = TopicName> = N extends TopicName
  ? {
      [E in EventTypeOf<N>]: Omit<Envelope, 'data' | 'type'> & { type: E; data: EventData<N, E> }
    }[EventTypeOf<N>]
  : never

export type Decoded =
  | { ok: true; event: Omit<Envelope, 'data'> & { data: unknown } }
  | { ok: false; code: 'event_too_large' | 'json_malformed' | 'event_malformed' | 'event_type_unknown'; detail: string }

type Refused = Extract<Decoded, { ok: false }>
const malformed = (detail: string): Refused => ({ ok: false, code: 'event_malformed', detail })

/** Names of unknown members come from the event's writer, so only one line of them is passed on. */
const firstIssue = (root: string, { issues: [issue] }: z.ZodError): string =>
  `${[root, ...(issue?.path ?? [])].join('.')}: ${issue?.message}`.slice(0, 200).toWellFormed()

/** What zod gives for a value of strict JSON. Nearly every event matches exactly, and then zod, which takes most of the time, is not asked. */
function parsed<T>(schema: z.ZodType<T>, value: unknown): z.ZodSafeParseResult<T> {
  return exactMatch(schema)(value) ? { success: true, data: value as T } : schema.safeParse(value)
}

/**
 * Strictly decodes one event from the bytes on the bus: size, strict JSON, envelope, a type of this topic, data, and which of the
 * producer's members (`version`, `sequence`, `previous`, `jws`) must, and must not, be present. Never throws, for any bytes.
 */
export function decodeEvent(topic: Topic, bytes: Uint8Array): Decoded {
  if (bytes.length > maxEventBytes) return { ok: false, code: 'event_too_large', detail: `${bytes.length} bytes` }
  let json: unknown
  try {
    json = parseStrictJson(bytes)
  } catch {
    return { ok: false, code: 'json_malformed', detail: 'not strict JSON' }
  }
  const envelope = parsed(envelopeSchema, json)
  if (!envelope.success) return malformed(firstIssue('event', envelope.error))
  const event = envelope.data
  const schema = Object.hasOwn(topic.events, event.type) ? topic.events[event.type] : undefined
  if (schema === undefined) return { ok: false, code: 'event_type_unknown', detail: event.type.slice(0, 100) }
  for (const [member, required] of Object.entries(producerMembers(topic, event.type))) {
    if (required === (event[member as ProducerMember] !== undefined)) continue
    return malformed(`${member} ${required ? 'is missing' : 'must not be there'}`)
  }
  const data = parsed(schema, event.data)
  if (!data.success) return malformed(firstIssue('data', data.error))
  return { ok: true, event: { ...event, data: data.data } }
}
