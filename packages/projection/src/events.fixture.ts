import type { DecodedEvent, EventData, EventTypeOf, TopicName } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'

/** The parts of an event that a test states; the rest comes from an example. */
export interface Told<D> {
  /** Members of its data. */
  data?: Partial<D>
  version?: number
  id?: string
  /** Subject and partition key. */
  about?: string
  subject?: string
  partitionkey?: string
  time?: string
  source?: string
}

/** An event in the form that `decodeEvent` returns. */
export function anEvent<N extends TopicName, E extends EventTypeOf<N>>(
  topic: N,
  type: E,
  { about, data, ...told }: Told<EventData<N, E>> = {},
): DecodedEvent<N> {
  const example = exampleEvent(topic, type)
  const names = about === undefined ? {} : { subject: about, partitionkey: about }
  return { ...example, ...names, ...told, data: { ...(example.data as object), ...data } } as DecodedEvent<N>
}

/** Ids in this project's format. */
export const idOf = (prefix: string, n: number | string) => `${prefix}_${String(n).padStart(20, '0')}`

/** ms since the epoch, and the same instant as events spell it. */
export const noon = Date.parse('2026-07-01T12:00:00.000Z')
export const at = (ms: number) => new Date(noon + ms).toISOString()
