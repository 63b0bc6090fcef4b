import { termOf } from '@bailiwick/contracts'
import type { Logger } from '@bailiwick/host'
import type { Clock } from '@bailiwick/kit'
import { covers, type Ends } from '../findings/gaps.ts'
import type { Lag } from '../findings/lag.ts'
import type { LeafIndex } from '../index/leaf-index.ts'
import type { ValueStore } from './value-store.ts'

export interface SweepValuesOptions {
  values: Pick<ValueStore, 'sweep'>
  index: Pick<LeafIndex, 'find'>
  lag: Pick<Lag, 'consumed' | 'onReading'>
  /** Returns a function that says whether the index finds all that was consumed by the time of this call. */
  findable: () => () => boolean
  clock: Clock
  logger: Logger
}

const everyMs = 10_000
const dayMs = 24 * 60 * 60 * 1000
/** Longer than words may wait for their event, and longer than their topic keeps them. */
const keptMs = 8 * dayMs
/** Only words. A call comes after its decision, and the index does not find it by its hash. */
const topic = 'attachments.approval.v1'

/**
 * Deletes words that no event commits to, for example those of a failed stop: they could not be found in order to erase them. Runs once the
 * log has all that was on the bus at the start, and then once a day.
 */
export function sweepValues({ values, index, lag, findable, clock, logger }: SweepValuesOptions): AsyncDisposable {
  let dueAt = 0
  let ends: Ends | undefined
  let isFindable: (() => boolean) | undefined
  const isCommitted = (hash: string) => index.find({ each: [[termOf('id', hash)]] }, 1).leaves.length > 0

  async function look(): Promise<void> {
    if (ends === undefined || !covers(lag.consumed, ends)) return
    isFindable ??= findable()
    if (!isFindable()) return
    ends = isFindable = undefined
    dueAt = clock.now() + dayMs
    const swept = await values.sweep(topic, clock.now() - keptMs, isCommitted)
    if (swept > 0) logger.warn({ swept }, 'words that no event commits to are deleted')
  }

  const stopReading = lag.onReading(() => (read) => {
    if (clock.now() >= dueAt) ends ??= read
  })
  let looking: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    looking = looking
      .then(look)
      .catch((err: unknown) => logger.error({ err }, 'words that no event commits to were not looked for'))
  }, everyMs)
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      stopReading()
      await looking
    },
  }
}
