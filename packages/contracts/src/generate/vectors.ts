import { eventText, exampleEvent, examplesOf, invalidEvents } from '../examples/index.ts'
import { type Topic, topics } from '../topics.ts'

/**
 * One event, and how every reader must judge it, in any language. `event` is the exact text on the bus, because its bytes are signed and
 * hashed; `event_base64` replaces it if the bytes are not UTF-8. `wantErr` null: it is valid.
 */
export interface EventVector {
  readonly desc: string
  readonly topic: string
  readonly event?: string
  readonly event_base64?: string
  readonly wantErr: string | null
}

function written(bytes: Uint8Array): { event: string } | { event_base64: string } {
  try {
    return { event: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) }
  } catch {
    return { event_base64: bytes.toBase64() }
  }
}

/** The vectors of one topic: its examples, then the events that must be refused. */
const eventVectors = (topic: Topic): EventVector[] => [
  ...Object.keys(topic.events).flatMap((type) =>
    Object.entries(examplesOf(topic, type)).map(([desc, data]) => ({
      desc: `${type}: ${desc}`,
      topic: topic.name,
      event: eventText(exampleEvent(topic.name, type, data)),
      wantErr: null,
    })),
  ),
  ...invalidEvents
    .filter((event) => event.topic === topic.name)
    .map(({ desc, bytes, wantErr }) => ({ desc, topic: topic.name, ...written(bytes), wantErr })),
]

export const allEventVectors = (): ReadonlyMap<string, readonly EventVector[]> =>
  new Map(topics.map((topic) => [topic.name, eventVectors(topic)]))
