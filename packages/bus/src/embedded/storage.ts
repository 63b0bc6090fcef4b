import type { Buffer } from 'node:buffer'
import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { lockFile } from '@bailiwick/kit'
import { type Database, type Key, open } from 'lmdb'
import type { TopicStores } from './topics.ts'

export interface Storage extends TopicStores, AsyncDisposable {
  /** [group, topic, partition] → the offset at which the group continues. */
  positions: Database<number, Key>
  /** Calls `puts` in one transaction off this thread. Resolves with true once all of it is durable; it commits all or nothing. */
  commit(puts: () => void): Promise<boolean>
}

/** No other user of this machine reads the events, even where the folder is a mount that is open to all. A setting of lmdb that its types lack. */
const ownerOnly: object = { permissionsMode: 0o600 }

/** Opens the files for this process only, or throws `bus_locked`. */
export function openStorage(dir: string): Storage {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const lock = lockFile(join(dir, 'process.lock'), 'bus_locked')
  try {
    const path = join(dir, 'messages.mdb')
    const root = open({
      path,
      ...ownerOnly,
      // An event has about 2 KB. In pages of 4 KiB, lmdb's own, each would fill one by itself. A file keeps the size that it began with.
      pageSize: 16_384,
      // Otherwise a put's promise resolves before it is durable.
      overlappingSync: false,
      // The bus batches by itself. Otherwise lmdb wraps each batch in one of its own, whose failure cannot be observed.
      eventTurnBatching: false,
    })
    // Earlier versions made them readable.
    for (const file of [path, `${path}-lock`]) chmodSync(file, 0o600)
    // lmdb syncs its file, not the directories that name it.
    for (const directory of [dir, dirname(dir)]) syncDirectory(directory)
    return {
      messages: root.openDB<Buffer, Key>({ name: 'messages', encoding: 'binary' }),
      floors: root.openDB<number, Key>({ name: 'floors' }),
      counts: root.openDB<number, Key>({ name: 'counts' }),
      positions: root.openDB<number, Key>({ name: 'positions' }),
      erasable: join(dir, 'erasable'),
      commit: (puts) => {
        const committed = root.batch(puts)
        committed.catch(({ commitError }: { commitError?: Promise<unknown> }) => {
          commitError?.catch(() => {}) // lmdb rejects a second promise with the reason, which has no other observer
        })
        return committed
      },
      async [Symbol.asyncDispose]() {
        try {
          await root.close()
        } finally {
          lock[Symbol.dispose]()
        }
      },
    }
  } catch (error) {
    lock[Symbol.dispose]()
    throw error
  }
}

function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
