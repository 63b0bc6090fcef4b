/** One event on its way out. `key` orders: what shares a topic and a key is read in the order in which it was published. */
export interface Outgoing {
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

export type Since = 'start' | { time: number }

export interface Subscription extends AsyncDisposable {
  /** Messages refused since the start, by topic. */
  readonly refused: ReadonlyMap<string, number>
}

export interface FollowSubscription extends AsyncDisposable {
  /** Resolves when everything that was in the topics when `follow` was called has been handled. */
  readonly caughtUp: Promise<void>
  /** Rejects when the handler threw: a follower never skips, so its owner must stop. Never resolves otherwise. */
  readonly failed: Promise<never>
}

export interface Bus extends AsyncDisposable {
  /**
   * Resolves with one position an event, in order, once all of them are durable. Events of one call that share a key
   * keep their order, also relative to earlier calls that were made (not necessarily settled) before. Concurrent calls are
   * coalesced into few durable writes. A rejection other than `event_too_large` and `queue_full` (which published nothing)
   * has an unknown outcome, `outcome_unknown`: repeat with the same bytes, readers fold by event id.
   */
  publish(topic: string, events: readonly Outgoing[]): Promise<Position[]>

  /**
   * Shares a topic's partitions among the members of a group; at least once; commits what is handled. Handlers get
   * messages of one partition, in order, never two calls for one partition at a time, and answer for each message;
   * messages behind an `again` are delivered again whatever was answered for them. A handler that throws is an `again` for
   * the whole batch, with back-off. A new group starts at the beginning of the topic.
   */
  consume(
    topics: readonly string[],
    group: string,
    handler: (batch: readonly Message[]) => Promise<readonly Handled[]>,
  ): Promise<Subscription>

  /**
   * Gives every caller everything from `since` on, and then what comes, in order for each partition, until disposed.
   * `{ time }` starts each partition at its first message with a timestamp at or after it.
   */
  follow(
    topics: readonly string[],
    since: Since,
    handler: (batch: readonly Message[]) => Promise<void>,
  ): Promise<FollowSubscription>

  /** The offset that the next message of each partition will get. */
  ends(topic: string): Promise<number[]>
}
