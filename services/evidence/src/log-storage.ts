import type { Tile } from '@bailiwick/tlog'

/** A file of the log, by its path under the log's prefix: `tile/0/000`. */
export interface LogFile {
  readonly path: string
  readonly bytes: Uint8Array
}

/** Where a tile or bundle is, whatever its width. */
export type Place = Pick<Tile, 'level' | 'index'>

/** Leaves `from` up to `to` of the log, in whatever form the log gives them. */
export interface JournalRecord {
  readonly from: number
  readonly to: number
  readonly bytes: Uint8Array
}

/**
 * Where one log is kept. Its owner is its only writer; readers of the files may come at any time and from anywhere. Every
 * write resolves once it survives a power cut; a rejection says nothing about what happened, so whoever gets one stops
 * and starts over from what is there (never repeats: after a failed fsync the kernel may have dropped the pages).
 */
export interface LogStorage extends AsyncDisposable {
  /** The bytes of a tile or entry bundle, undefined when it is not there. Rejects for a path that names none. */
  read(path: string): Promise<Uint8Array | undefined>

  /** Whether there are tiles or bundles: then there is a tree head, unless somebody took it away. */
  hasTiles(): Promise<boolean>

  /**
   * Resolves once the record survives a power cut, which takes one flush. It goes on where the last one ended; a tree of
   * `size` leaves is durable, of which no record is needed any more. One call at a time.
   */
  enter(record: JournalRecord, size: number): Promise<void>

  /**
   * The records behind a tree of `size` leaves, in order. Rejects with `log_inconsistent` when one is missing that another
   * was entered behind. To be called before anything is entered.
   */
  readJournal(size: number): Promise<JournalRecord[]>

  /**
   * Puts every file in place, in any order. What is there already is replaced. A full tile is whole or not there, at any
   * moment; a partial one may be torn until this resolves, since no checkpoint has its width before.
   */
  write(files: readonly LogFile[]): Promise<void>

  /**
   * Takes away every tile and bundle that reaches beyond a tree of `size` leaves: what a crash left of a batch that never
   * became part of the log. Readers prefer full tiles (C2SP tlog-tiles), so such a one would belie a smaller tree.
   */
  discardBeyond(size: number): Promise<void>

  /**
   * Where a tree of `size` leaves has a full tile and partial ones of it are still there, as a crash may leave them. Looks only
   * near its end: a long log opens as fast as a short one.
   */
  outgrown(size: number): Promise<Place[]>

  /** Takes away the partial tiles of a place whose full tile a published checkpoint covers; need not survive a power cut. */
  discardPartial(place: Place): Promise<void>

  /** What the lock holds: the newest tree head; undefined before the first. It is kept away from the log's own files. */
  readHead(): Promise<Uint8Array | undefined>

  /**
   * Puts `next` where `expected` is, or rejects with `log_locked` and changes nothing: another writer was here. Only what
   * is swapped in here is part of the log.
   */
  swapHead(expected: Uint8Array | undefined, next: Uint8Array): Promise<void>

  /** The signed note that readers see; undefined before the first. */
  readCheckpoint(): Promise<Uint8Array | undefined>

  /**
   * Replaces the checkpoint at once, so that a reader gets the old one or the new one. After a power cut it may be the old
   * one again: the tree head is the newer word, and the next start signs the same again.
   */
  publishCheckpoint(note: Uint8Array): Promise<void>
}
