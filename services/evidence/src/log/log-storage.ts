import type { Tile } from '@bailiwick/tlog'

/** A file of the log, by its path under the log's prefix: `tile/0/000`. */
export interface LogFile {
  readonly path: string
  readonly bytes: Uint8Array
}

/** The position of a tile or bundle, regardless of its width. */
export type Place = Pick<Tile, 'level' | 'index'>

/** Leaves `from` up to `to` of the log, in a form that only the log defines. */
export interface JournalRecord {
  readonly from: number
  readonly to: number
  readonly bytes: Uint8Array
}

/**
 * The storage of one log. Its owner is the only writer; readers may read the files at any time and from anywhere. Every write resolves
 * once it survives a power cut. A rejection says nothing about what happened, so the writer must stop and start over from what is stored.
 * It must never repeat the write: after a failed fsync the kernel may have dropped the pages.
 */
export interface LogStorage extends AsyncDisposable {
  /** The bytes of a tile or entry bundle; undefined if it does not exist. Rejects for a path that names neither. */
  read(path: string): Promise<Uint8Array | undefined>

  /** Whether there are tiles or bundles. If so, there is a tree head, unless it was removed. */
  hasTiles(): Promise<boolean>

  /**
   * Resolves once the record survives a power cut, which takes one flush. The record begins where the last one ended. A tree of `size`
   * leaves is already durable, so the records of its leaves are no longer needed. One call at a time.
   */
  enter(record: JournalRecord, size: number): Promise<void>

  /**
   * The records after a tree of `size` leaves, in order. Rejects with `log_inconsistent` if a record is missing and a later one exists.
   * Call it before anything is entered.
   */
  readJournal(size: number): Promise<JournalRecord[]>

  /**
   * Puts every file in place, in any order, and replaces existing ones. At any moment a full tile is either whole or absent. A partial
   * tile may be torn until this resolves, since no checkpoint has its width before that.
   */
  write(files: readonly LogFile[]): Promise<void>

  /**
   * Removes every tile and bundle that reaches beyond a tree of `size` leaves: a crash left them, and their batch never became part of the
   * log. Readers prefer full tiles (C2SP tlog-tiles), so such a tile would contradict a smaller tree.
   */
  discardBeyond(size: number): Promise<void>

  /**
   * The places where a tree of `size` leaves has a full tile but partial ones still exist, as a crash may leave them. Looks only near the
   * end of the tree, so that a long log opens as fast as a short one.
   */
  outgrown(size: number): Promise<Place[]>

  /** Removes the partial tiles of a place whose full tile a published checkpoint covers. The removal need not survive a power cut. */
  discardPartial(place: Place): Promise<void>

  /** The content of the lock: the newest tree head; undefined before the first. It is stored apart from the log's own files. */
  readHead(): Promise<Uint8Array | undefined>

  /**
   * Replaces `expected` with `next`. If another content is there, another writer was here: rejects with `log_locked` and changes nothing.
   * Only leaves under a head that was swapped in here are part of the log.
   */
  swapHead(expected: Uint8Array | undefined, next: Uint8Array): Promise<void>

  /** The signed note that readers get; undefined before the first. */
  readCheckpoint(): Promise<Uint8Array | undefined>

  /**
   * Replaces the checkpoint atomically, so that a reader gets either the old one or the new one. After a power cut it may be the old one
   * again: the tree head is then newer, and the next start signs the same checkpoint again.
   */
  publishCheckpoint(note: Uint8Array): Promise<void>
}
