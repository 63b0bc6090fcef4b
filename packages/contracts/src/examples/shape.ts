import type { EventData, EventTypeOf, TopicName } from '../topics.ts'

/** Valid `data` of each event type of a topic, named by what is special about each example. */
export type ExamplesOf<N extends TopicName> = {
  readonly [E in EventTypeOf<N>]: Readonly<Record<string, EventData<N, E>>>
}

/**
 * One fault in the first example of an event type: a description, its place (a JSON pointer into the event), and the value to put there;
 * without a value the member is removed.
 */
export type Fault = readonly [desc: string, pointer: string, value?: unknown]

/** Faults that make each event type `event_malformed`; the compiler reports a missing type. */
export type FaultsOf<N extends TopicName> = { readonly [E in EventTypeOf<N>]: readonly [Fault, ...Fault[]] }
