import type { Log } from '../log/log.ts'
import type { Sequencer } from '../log/sequencer.ts'
import type { LeafIndex } from './leaf-index.ts'

export interface FindableOptions {
  log: Pick<Log, 'size'>
  index: Pick<LeafIndex, 'size'>
  sequencer: Pick<Sequencer, 'busy'>
}

/**
 * Returns a function that says whether the index finds all that was consumed by the time of this call. Call that function repeatedly:
 * consumed leaves may still be in the batch that is being written, or on their way into the index.
 */
export function findable({ log, index, sequencer }: FindableOptions): () => boolean {
  const { size } = log
  return () => index.size > size || (!sequencer.busy && index.size >= log.size)
}
