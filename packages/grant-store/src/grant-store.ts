/**
 * What a taker wants from a tree, in whole units (`calls`, `egress_bytes`, `uses:<permission>`) or minor units of a
 * currency scaled to 10^-6 (`cost:<currency>`): exact integers, 0 ≤ n < 2^63 (what Redis counts in). An amount outside
 * is a fault of the caller: the call rejects with `internal` and changes nothing.
 */
export type Amounts = Readonly<Record<string, bigint>>

/** A tree as the projection knows it; what the store is refilled from. */
export interface TreeState {
  /** The newest version on `decisions.v1` that counts. */
  version: number
  /** What is left: limit less spent less reserved. A resource without limit is absent. */
  left: Amounts
  /** Labels that the tree touched; a set, in no order. */
  labels: readonly string[]
  /** ms since the epoch: from this moment on every take is refused. The tree is forgotten some time after. */
  expiresAt: number
}

/** One attempt to take. */
export interface Take {
  /** Names this attempt: the id of the event that will be published for it. A new try, on a newer version, is a new take. */
  takeId: string
  /** The version that the taker evaluated: the projection's. */
  from: number
  /** The version that its event will carry; above `from`. */
  to: number
  amounts: Amounts
  labels: readonly string[]
  /** ms since the epoch, by the taker's clock. */
  now: number
}

/** What the log settled of a take: an outcome below the reservation, or an abandonment. */
export interface Settlement {
  takeId: string
  /** The version of the event that settles; call only once that event is durable and counts. */
  to: number
  giveBack: Amounts
}

export type AdvanceOutcome =
  /** Taken now, or taken before by the same `takeId`. */
  | { outcome: 'advanced' }
  /**
   * The store is at another `version` than `from`. `ahead`: another take is on its way to the log; wait for the projection
   * and evaluate again, or `reset` after 1 s. `behind`: the store missed something, or was rolled back; `refill` it.
   */
  | { outcome: 'ahead' | 'behind'; version: number }
  /** Too little is left of `resource` (one of them, when several lack): nothing was taken. */
  | { outcome: 'exhausted'; resource: string }
  | { outcome: 'expired' }
  /** The store does not know the tree, or this instance has not adopted its epoch. */
  | { outcome: 'absent' }

/**
 * Short-TTL grant state on the hot path, shared by the instances; settles their races so that the log seldom has to.
 * NEVER the authority (DESIGN §5): absence means ask the log, and the smaller remainder of store and projection counts.
 *
 * **Epoch.** A store can lose what it acknowledged: flushed, evicted from, restarted on an older snapshot, failed over to a
 * replica that lagged. So it holds one random `epoch`, bound to the *run* of the server that held it when it was made (Redis:
 * `run_id`; embedded: one opening of the environment). An instance remembers the epoch that it adopted, and every call
 * checks, in the same atomic step as its work, that the store still has it *and* still is in its run. Flushing removes the
 * epoch, a restart or failover changes the run, a second instance that adopts after either makes another epoch: in each
 * case all that this instance hears is `absent`, `undefined` or `false`, and nothing that it sends is written.
 * It then calls `adopt`, refills each tree when it next needs it, and **rotates its DPoP nonces**, because proofs may have been
 * forgotten. A tree carries the epoch under which it was put, and under another one counts as absent.
 * What the epoch cannot see, a store set back within one run, shows as a tree `behind` the projection, which refills it; one
 * that is not behind is at worst *too generous*, which the projection's remainder and the log's versions stop.
 *
 * **Adapters.** Every method is one atomic step on the epoch and the keys of one tree, proof or counter (in Redis one Lua
 * script on one hash slot, `{root}`; a store over many slots keeps the epoch in each). Redis must run `noeviction`, and its
 * `run_id` may be read once a connection, which cannot outlive the server it talks to. Keys may expire by themselves
 * only well after `expiresAt` (a minute: more than clocks may differ). Ids are hostile text of any length: hash them.
 *
 * Every method rejects with `outcome_unknown` when the store does not answer: what was asked may or may not have happened.
 * Repeat it with the same arguments, or go on by the log alone.
 */
export interface GrantStore extends AsyncDisposable {
  /** The epoch that this instance adopted; `undefined` when it adopted none, or the store's is another by now. */
  epoch(): Promise<string | undefined>

  /**
   * Accepts the store as it is now, after the caller decided to refill. Makes a new random epoch if the store has none, or
   * one of another run; else joins the one that is there. Gives it. The caller rotates its nonces.
   */
  adopt(): Promise<string>

  /**
   * Puts the tree from the projection, if the store has none or an older version of it, and forgets its takes, which the
   * projection's remainder includes. Gives whether it was put: never at the same version, never a lower one, never unadopted.
   */
  refill(root: string, tree: TreeState): Promise<boolean>

  /**
   * Replaces the tree with the projection's, takes and reservations included: for a store whose writer died while it was
   * ahead, or whose take turned out void in the log. Gives whether it was replaced (`false`: not adopted).
   */
  reset(root: string, tree: TreeState): Promise<boolean>

  get(root: string): Promise<TreeState | undefined>

  /**
   * Compare-and-advance: when the tree is at version `from`, takes `amounts` (of resources without limit nothing), adds
   * `labels` and sets version `to`; all of it or nothing. Liveness is judged first, by `now` and `expiresAt`, never by whether
   * a key has expired. Then a `takeId` that was taken before gives `advanced` and takes nothing, so a lost answer may be
   * asked for again. After a refill or reset, which forget takes, it meets the version compare instead, and cannot take twice.
   */
  advance(root: string, take: Take): Promise<AdvanceOutcome>

  /**
   * Gives back, once for each take, at most what that take reserved; moves the tree's version if `to` is the next one, and
   * leaves it if the tree is there already. What cannot be settled exactly (a take that the store does not know or has
   * settled, a version in between that it missed) changes nothing: a tree that is then behind is refilled by its next taker.
   */
  settle(root: string, settled: Settlement): Promise<void>

  /**
   * Remembers a proof id until `expiresAt`, whoever asks and under whatever epoch. Only `true` accepts the proof.
   * `false`: it was seen before, or its time is over (V10). `undefined`: the store may have forgotten it; adopt first.
   * A repeated call after a lost answer gives `false`: that proof is spent.
   */
  remember(proofId: string, now: number, expiresAt: number): Promise<boolean | undefined>

  /**
   * Counts one event of `subject` in the fixed window of `windowMs` that holds `now`; gives the count in that window, this
   * one included. Asks for no epoch: a flushed store starts to count again, and a repeated call counts twice.
   */
  count(subject: string, windowMs: number, now: number): Promise<number>
}
