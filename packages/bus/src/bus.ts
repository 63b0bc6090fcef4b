/** One event on its way out. `key` orders: what shares a topic and a key is read in the order in which it was published. */
export interface Outgoing {
  /** Well-formed Unicode, at most 1,024 bytes of UTF-8; else `event_malformed`. */
  key: string
  /** UTF-8 JSON of the whole event; at most 65,535 bytes. */
  bytes: Uint8Array
}

/** Where an event is: offsets of one partition are dense and start at 0. */
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
 * A consumer's three answers (DESIGN §9). `again`: not now; the bus delivers this message again after `afterMs`, and
 * nothing of its partition meanwhile. `refused`: nobody can read it; it is counted and committed, and the rest flows.
 */
export type Handled = 'done' | 'refused' | { again: number }

/** With `orLast`, a partition whose last message is older than `time` starts at that one: it says how the partition ended. */
export type Since = 'start' | { time: number; orLast?: true }

export interface Subscription extends AsyncDisposable {
  /** Messages refused since the start, by topic. */
  readonly refused: ReadonlyMap<string, number>
}

/** Disposing of a subscription waits for the call in flight, so a handler that awaits it waits for itself. */
export interface FollowSubscription extends AsyncDisposable {
  /**
   * Resolves when everything that was in the topics when `follow` was called has been handled. Rejects when the follower
   * failed or was disposed of before that.
   */
  readonly caughtUp: Promise<void>
  /**
   * Rejects when the handler threw, or when the bus can never deliver again: a follower never skips, so its owner must
   * stop. Never resolves, and is left alone by an orderly end. Unobserved, it ends the process as any unhandled rejection.
   */
  readonly failed: Promise<never>
}

/**
 * Disposing of the bus ends its followers and consumers, waits for what was published, and loses nothing of it. Once it is
 * disposed of, every verb rejects with `bus_unavailable`, having done nothing.
 */
export interface Bus extends AsyncDisposable {
  /** How long a publish may be under way before it is given up, ms; the same bytes are worth repeating until then. */
  readonly durableWithinMs?: number | undefined

  /**
   * Resolves with one position an event, in order, once all of them are durable; no reader sees any before. Events of one
   * call that share a key keep their order, also relative to earlier calls that were made (not necessarily settled) before.
   * Concurrent calls are coalesced into few durable writes. The bytes are the caller's again when `publish` has returned
   * its promise. `event_too_large`, `event_malformed`, `queue_full` and `bus_unavailable` published nothing; every other
   * rejection has an unknown outcome, `outcome_unknown`: repeat with the same bytes, readers fold by event id.
   */
  publish(topic: string, events: readonly Outgoing[]): Promise<Position[]>

  /**
   * Shares a topic's partitions among the members of a group; at least once; commits what is handled. Handlers get
   * messages of one partition, in order, never two calls for one partition at a time, and answer for each message;
   * messages behind an `again` are delivered again whatever was answered for them. A handler that throws, or answers for
   * more or fewer messages than it got, is an `again` for the whole batch, with back-off; the bus does not log what it
   * threw. A new group starts at the beginning of the topic.
   */
  consume(
    topics: readonly string[],
    group: string,
    handler: (batch: readonly Message[]) => Promise<readonly Handled[]>,
  ): Promise<Subscription>

  /**
   * Gives every caller everything from `since` on, and then what comes, in order for each partition, until disposed.
   * `{ time }` starts each partition at its first message with a timestamp at or after it; timestamps never decrease inside
   * a partition. The handler gets one call at a time, with messages of any of the partitions, and while it works nothing
   * gathers for it in memory.
   */
  follow(
    topics: readonly string[],
    since: Since,
    handler: (batch: readonly Message[]) => Promise<void>,
  ): Promise<FollowSubscription>

  /** The offset that the next message of each partition will get. */
  ends(topic: string): Promise<number[]>
}
