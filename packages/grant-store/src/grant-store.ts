/**
 * What a taker wants from a tree, in whole units (`calls`, `egress_bytes`, `uses:<permission>`) or minor units of a
 * currency scaled to 10^-6 (`cost:<currency>`): integers as bigint, never negative.
 */
export type Amounts = Readonly<Record<string, bigint>>

/** A tree as the projection knows it; what the store is refilled from. */
export interface TreeState {
  /** The newest version on `decisions.v1` that counts. */
  version: number
  /** What is left: limit less spent less reserved. A resource without limit is absent. */
  left: Amounts
  /** Labels that the tree touched. */
  labels: readonly string[]
  /** ms since the epoch; the tree is forgotten some time after, and refused from then on. */
  expiresAt: number
}

export type AdvanceOutcome =
  /** Taken now, or taken before by the same `takeId`. */
  | { outcome: 'advanced' }
  /** The store is at another version than `from`: evaluate again (`ahead`), or refill (`behind`). */
  | { outcome: 'ahead' | 'behind'; version: number }
  | { outcome: 'exhausted'; resource: string }
  | { outcome: 'expired' }
  /** The store does not know the tree, or its epoch is not the one that this instance saw: refill it. */
  | { outcome: 'absent' }

/**
 * Short-TTL grant state on the hot path, shared by the instances. NEVER the authority (DESIGN §5): absence means ask the
 * log, the smaller remainder of store and projection counts, and a store that was flushed, restarted or rolled back is
 * noticed by its epoch and refilled. Every method rejects with `bus_unavailable`-like `outcome_unknown` when the store
 * does not answer; the caller then goes on by the log alone.
 */
export interface GrantStore extends AsyncDisposable {
  /**
   * A random value that changes whenever the store may have lost something: created by `open` on an empty store, and
   * bound to the server's run. `undefined` while it differs from what this instance saw when it last called `adopt`.
   */
  epoch(): Promise<string | undefined>

  /**
   * Accepts the store as it is now, after the caller decided to refill: makes a new epoch if the store has none. Trees
   * and proof memories written under another epoch count as absent. Gives the epoch.
   */
  adopt(): Promise<string>

  /** Puts the tree from the projection, if the store has none, or an older version of it. Gives whether it was put. */
  refill(root: string, tree: TreeState): Promise<boolean>

  /** Replaces the tree with the projection's, reservations included: for a store whose writer died while it was ahead. */
  reset(root: string, tree: TreeState): Promise<void>

  get(root: string): Promise<TreeState | undefined>

  /**
   * Compare-and-advance: when the tree is at version `from`, takes `amounts`, adds `labels` and sets version `to`.
   * The same `takeId` asked again while the tree lives gives `advanced` and takes nothing. Liveness is judged by `now` and
   * `expiresAt`, never by whether a key has expired.
   */
  advance(
    root: string,
    take: { takeId: string; from: number; to: number; amounts: Amounts; labels: readonly string[]; now: number },
  ): Promise<AdvanceOutcome>

  /** Gives amounts back (settled below the reservation, or abandoned) at a version that is newer than the store's. */
  settle(root: string, settled: { takeId: string; to: number; giveBack: Amounts }): Promise<void>

  /** Remembers a proof id until `expiresAt`. `false`: it was seen before (V10). */
  remember(proofId: string, now: number, expiresAt: number): Promise<boolean>

  /** Counts one event of `subject` in the fixed window that holds `now`; gives the count in that window, this one included. */
  count(subject: string, windowMs: number, now: number): Promise<number>
}
