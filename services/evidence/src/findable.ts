import type { LeafIndex } from './leaf-index.ts'
import type { Log } from './log.ts'
import type { Sequencer } from './sequencer.ts'

export interface FindableOptions {
  log: Pick<Log, 'size'>
  index: Pick<LeafIndex, 'size'>
  sequencer: Pick<Sequencer, 'busy'>
}

/**
 * Gives what says, asked again and again, whether the index finds all that is consumed by now. What was consumed may be in the batch
 * that is being written, or on its way into the index.
 */
export function findable({ log, index, sequencer }: FindableOptions): () => boolean {
  const { size } = log
  return () => index.size > size || (!sequencer.busy && index.size >= log.size)
}
