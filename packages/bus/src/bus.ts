/** One event to publish. `key` sets the order: events that share a topic and a key are read in the order in which they were published. */
export interface Outgoing {
  /** Well-formed Unicode, at most 1,024 bytes of UTF-8; otherwise `event_malformed`. */
  key: string
  /** UTF-8 JSON of the whole event; at most 65,535 bytes. */
  bytes: Uint8Array
}

/** The position of an event: offsets of one partition are dense and start at 0. */
export interface Position {
  topic: string
  partition: number
  offset: number
}

export interface Message extends Position {
  key: string
  bytes: Uint8Array
  /** ms since the epoch, set by the bus when it took the event. */
  timestamp: number
}

/**
 * A consumer's three answers (DESIGN §9). `again`: not now; the bus delivers this message again after `afterMs`, and no other message of
 * its partition meanwhile. `refused`: the message can never be read; it is counted and committed, and the rest goes on.
 */
export type Handled = 'done' | 'refused' | { again: number }

/**
 * With `orLast`, a partition whose last message is older than `time` starts at that message, which shows how the partition ended. A partition
 * that has an offset in `offsets`, by topic, starts at that offset instead. If that message is no longer kept, it starts at the first
 * that is kept; if the partition is shorter, it starts at its end. The caller, who knows what it wants to read there, checks that.
 */
export type Since = 'start' | { time: number; orLast?: true; offsets?: PartitionOffsets }

/** By topic and partition. */
export type PartitionOffsets = Readonly<Record<string, readonly (number | undefined)[]>>

export interface Subscription extends AsyncDisposable {
  /** Messages refused since the start, by topic. */
  readonly refused: ReadonlyMap<string, number>
}

/** Disposing of a subscription waits for the handler call in flight, so a handler that awaits the disposal waits for itself. */
export interface FollowSubscription extends AsyncDisposable {
  /**
   * Resolves when everything that was in the topics when `follow` was called has been handled. Rejects if the follower
   * failed or was disposed of earlier.
   */
  readonly caughtUp: Promise<void>
  /**
   * Rejects when the handler threw, or when the bus can never deliver again: a follower never skips, so its owner must
   * stop. Never resolves; an orderly end leaves it pending. If it is not observed, it ends the process like any unhandled rejection.
   */
  readonly failed: Promise<never>
}

/**
 * Disposing of the bus ends its followers and consumers and waits for published events, losing none. After that,
 * every method rejects with `bus_unavailable`, having done nothing.
 */
export interface Bus extends AsyncDisposable {
  /** How long a publish may be in progress before it is given up, ms. Until then it is worth repeating the same bytes. */
  readonly durableWithinMs?: number | undefined

  /**
   * Resolves with one position per event, in order, once all of them are durable. No reader sees any of them earlier. Events of one
   * call that share a key keep their order, also relative to earlier calls that were made (not necessarily settled) before.
   * Concurrent calls are coalesced into few durable writes. The caller may reuse the bytes once `publish` has returned
   * its promise. `event_too_large`, `event_malformed`, `queue_full` and `bus_unavailable` published nothing. Every other
   * rejection is `outcome_unknown`: the outcome is unknown, so repeat with the same bytes. Readers fold by event id.
   */
  publish(topic: string, events: readonly Outgoing[]): Promise<Position[]>

  /**
   * Shares a topic's partitions among the members of a group. Delivers at least once and commits what is handled. A handler call gets
   * messages of one partition, in order, and must answer for each message. A partition never has two calls at a time.
   * Messages behind an `again` are delivered again, regardless of their answers. A handler that throws, or answers for
   * more or fewer messages than it got, counts as an `again` for the whole batch, with back-off; the bus does not log the
   * error. A new group starts at the beginning of the topic.
   */
  consume(
    topics: readonly string[],
    group: string,
    handler: (batch: readonly Message[]) => Promise<readonly Handled[]>,
  ): Promise<Subscription>

  /**
   * Gives every caller everything from `since` on, and then each new message, in order for each partition, until disposed.
   * `{ time }` starts each partition at its first message with a timestamp at or after it. Timestamps never decrease within
   * a partition. The handler gets one call at a time, with messages of any of the partitions. While it works, no messages
   * accumulate for it in memory.
   */
  follow(
    topics: readonly string[],
    since: Since,
    handler: (batch: readonly Message[]) => Promise<void>,
  ): Promise<FollowSubscription>

  /** The offset that the next message of each partition will get. */
  ends(topic: string): Promise<number[]>
}
