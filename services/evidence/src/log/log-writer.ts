import type { Clock } from '@bailiwick/kit'
import type { SignerKey } from '@bailiwick/tlog'
import { LeafIndex } from '../index/leaf-index.ts'
import { Log, type Published } from './log.ts'
import type { LogStorage } from './log-storage.ts'
import { Sequencer } from './sequencer.ts'

export interface LogWriterOptions {
  storage: LogStorage
  key: SignerKey
  /** A folder for the index, which can be rebuilt from the log. */
  index: string
  clock: Clock
  /** The log can no longer be written: the process must stop, and recover at its start. */
  onFatal: (error: unknown) => void
  onPublished: (checkpoint: Published, leaves: number) => void
}

/** A log, with the sequencer that gives each event its one leaf. */
export interface LogWriter extends AsyncDisposable {
  log: Log
  index: LeafIndex
  sequencer: Sequencer
}

/** Opens the log, by the same steps regardless of its last writer and how that writer ended. Rejects as `Log.open` does. */
export async function openLogWriter(options: LogWriterOptions): Promise<LogWriter> {
  const { storage, key, clock, onFatal, onPublished } = options
  const log = await Log.open(storage, key, () => clock.now())
  const index = await LeafIndex.open(options.index, storage, log.checkpoint)
  const sequencer = new Sequencer({ log, index, monotonic: () => clock.monotonic(), onFatal, onPublished })
  return {
    log,
    index,
    sequencer,
    async [Symbol.asyncDispose]() {
      await sequencer[Symbol.asyncDispose]()
      await index[Symbol.asyncDispose]()
    },
  }
}
