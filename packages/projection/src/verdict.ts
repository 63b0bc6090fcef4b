import type { DecodedEvent, TopicName } from '@bailiwick/contracts'

/**
 * `counts`: the first valid event with the next version of its entity or tree, or one that needs no version. `void`: valid in
 * form, but without effect for every reader. `repeated`: the same event again.
 */
export type Verdict = 'counts' | 'void' | 'repeated'

/** Where the bus has an event: offsets of one partition are dense and start at 0. */
export interface Position {
  topic: string
  partition: number
  offset: number
}

/** One folded event. */
export interface Fact<N extends TopicName = TopicName> {
  topic: N
  position: Position
  event: DecodedEvent<N>
  verdict: Verdict
  bytes: Uint8Array
  /** When the bus took it, ms since the epoch. */
  takenAt: number
}

/**
 * Whether a version is the next one. A reader that starts inside a topic takes the first valid version that it meets as
 * its base (DESIGN §4). A reader that starts at the beginning, above all an auditor, must not.
 */
export function isNext(version: number | undefined, known: number | undefined, base: boolean): boolean {
  if (version === undefined) return false
  return known === undefined ? base || version === 1 : version === known + 1
}
