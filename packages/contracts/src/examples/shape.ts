import type { EventData, EventTypeOf, TopicName } from '../topics.ts'

/** Valid `data` of each event type of a topic, each named by what is special about it. */
export type ExamplesOf<N extends TopicName> = {
  readonly [E in EventTypeOf<N>]: Readonly<Record<string, EventData<N, E>>>
}

/**
 * One fault in the first example of an event type: what is wrong, where it is (a JSON pointer into the event), and what
 * stands there instead; without the last, nothing does.
 */
export type Fault = readonly [desc: string, pointer: string, value?: unknown]

/** Faults that make `event_malformed` of each event type; the compiler asks for the missing one. */
export type FaultsOf<N extends TopicName> = { readonly [E in EventTypeOf<N>]: readonly [Fault, ...Fault[]] }
