/**
 * Amounts to take from a tree, in whole units (`calls`, `egress_bytes`, `uses:<permission>`) or minor units of a
 * currency scaled to 10^-6 (`cost:<currency>`): exact integers, 0 ≤ n < 2^63 (the range in which Redis counts). An amount outside
 * this range is the caller's fault: the call rejects with `internal` and changes nothing.
 */
export type Amounts = Readonly<Record<string, bigint>>

/** A tree as the projection knows it. The store is refilled from it. */
export interface TreeState {
  /** The newest version on `decisions.v1` that counts. */
  version: number
  /** The remainder: limit less spent less reserved. A resource without a limit is absent. */
  left: Amounts
  /** Labels that the tree touched; a set, in no order. */
  labels: readonly string[]
  /** ms since the epoch. From this moment on every take is refused. The tree is forgotten some time later. */
  expiresAt: number
}

/** One attempt to take. */
export interface Take {
  /** Names this attempt: the id of the event that will be published for it. A new attempt, on a newer version, is a new take. */
  takeId: string
  /** The version that the taker evaluated: the projection's. */
  from: number
  /** The version that its event will carry. Greater than `from`. */
  to: number
  amounts: Amounts
  labels: readonly string[]
  /** ms since the epoch, by the taker's clock. */
  now: number
}

/** The log's settlement of a take: an outcome below the reservation, or an abandonment. */
export interface Settlement {
  takeId: string
  /** The version of the settling event. Call only once that event is durable and counts. */
  to: number
  giveBack: Amounts
}

export type AdvanceOutcome =
  /** Taken now, or taken earlier by the same `takeId`. */
  | { outcome: 'advanced' }
  /**
   * The store is at another `version` than `from`. `ahead`: another take is on its way to the log. Wait for the projection
   * and evaluate again, or `reset` after 1 s. `behind`: the store missed something, or was rolled back. Call `refill`.
   */
  | { outcome: 'ahead' | 'behind'; version: number }
  /** The remainder of `resource` is too small (one of them, if several are). Nothing was taken. */
  | { outcome: 'exhausted'; resource: string }
  | { outcome: 'expired' }
  /** The store does not know the tree, or this instance has not adopted its epoch. */
  | { outcome: 'absent' }

/**
 * Short-TTL grant state on the hot path, shared by the instances. It settles their races so that the log seldom has to.
 * It is NEVER the authority (DESIGN §5): if something is absent, ask the log, and the smaller remainder of store and projection counts.
 *
 * **Epoch.** A store can lose data that it acknowledged: it may be flushed, evict keys, restart on an older snapshot, or fail over to a
 * lagging replica. So it holds one random `epoch`, bound to the *run* of the server that held it when it was made (Redis:
 * `run_id`; embedded: one opening of the environment). An instance remembers the epoch that it adopted. In the same atomic step as
 * its work, every call checks that the store still has this epoch *and* is still in its run. Flushing removes the
 * epoch, a restart or failover changes the run, and a second instance that adopts after either makes another epoch. In each
 * case this instance only gets `absent`, `undefined` or `false`, and nothing that it sends is written.
 * It must then call `adopt`, refill each tree when it next needs it, and **rotate its DPoP nonces**, because proofs may have been
 * forgotten. A tree carries the epoch under which it was put, and counts as absent under another epoch.
 * The epoch cannot detect a store that was set back within one run. Such a tree is `behind` the projection, which refills it. A tree
 * that is not behind is at worst *too generous*, which the projection's remainder and the log's versions stop.
 *
 * **Adapters.** Every method is one atomic step on the epoch and the keys of one tree, proof or counter (in Redis one Lua
 * script on one hash slot, `{root}`; a store over many slots keeps the epoch in each). Redis must run `noeviction`. Its
 * `run_id` may be read once per connection, because a connection cannot outlive its server. Keys may expire by themselves
 * only well after `expiresAt` (a minute: longer than clocks may differ). Ids are hostile text of any length: hash them.
 *
 * Every method rejects with `outcome_unknown` if the store does not answer: the request may or may not have taken effect.
 * Repeat it with the same arguments, or go on by the log alone.
 */
export interface GrantStore extends AsyncDisposable {
  /** The epoch that this instance adopted; `undefined` if it adopted none, or if the store now has another one. */
  epoch(): Promise<string | undefined>

  /**
   * Accepts the store as it is now, after the caller decided to refill. Makes a new random epoch if the store has none, or
   * one of another run; otherwise joins the existing one. Returns the epoch. The caller must rotate its nonces.
   */
  adopt(): Promise<string>

  /**
   * Puts the tree from the projection, if the store has none or an older version of it, and forgets its takes, which the
   * projection's remainder includes. Returns whether it was put: never at the same or a lower version, and never without an adopted epoch.
   */
  refill(root: string, tree: TreeState): Promise<boolean>

  /**
   * Replaces the tree with the projection's, including takes and reservations. For a store whose writer died while it was
   * ahead, or whose take turned out void in the log. Returns whether it was replaced (`false`: not adopted).
   */
  reset(root: string, tree: TreeState): Promise<boolean>

  get(root: string): Promise<TreeState | undefined>

  /**
   * Compare-and-advance: if the tree is at version `from`, takes `amounts` (nothing of resources without a limit), adds
   * `labels` and sets version `to`; all of it or nothing. Liveness is judged first, by `now` and `expiresAt`, never by whether
   * a key has expired. Then a `takeId` that was already taken gives `advanced` and takes nothing, so a call whose answer was lost may be
   * repeated. After a refill or reset, which forget takes, a repeated call fails the version compare instead, and cannot take twice.
   */
  advance(root: string, take: Take): Promise<AdvanceOutcome>

  /**
   * Gives back, once for each take, at most what that take reserved. Moves the tree's version if `to` is the next one, and
   * leaves it if the tree is already there. A settlement that cannot be exact (of a take that the store does not know or has
   * settled, or after a version that it missed) changes nothing. A tree that is then behind is refilled by its next taker.
   */
  settle(root: string, settled: Settlement): Promise<void>

  /**
   * Remembers a proof id until `expiresAt`, for all callers and under any epoch. Only `true` accepts the proof.
   * `false`: it was seen earlier, or its time is over (V10). `undefined`: the store may have forgotten it; adopt first.
   * A repeated call after a lost answer gives `false`: that proof is spent.
   */
  remember(proofId: string, now: number, expiresAt: number): Promise<boolean | undefined>

  /**
   * Counts one event of `subject` in the fixed window of `windowMs` that holds `now`. Returns the count in that window, including this
   * event. Needs no epoch: a flushed store starts counting again, and a repeated call counts twice.
   */
  count(subject: string, windowMs: number, now: number): Promise<number>
}
