import type { CommitQueue } from './commit-queue.ts'
import { DurablePartition } from './durable-partition.ts'
import type { PartitionLog } from './partition-log.ts'

const SWEEP_MS = 60_000
/** Small enough that a publish behind such a commit does not wait long. */
const DELETIONS_A_COMMIT = 500

/**
 * Hides messages older than their topic's retention at once, and then deletes them in small transactions. Runs at the start and
 * once a minute.
 */
export class Retention {
  readonly #queue: CommitQueue
  readonly #cuts: () => Iterable<[PartitionLog, number]>
  #timer: NodeJS.Timeout | undefined
  #sweeping: Promise<void> | undefined
  #ended = false

  /** `cuts` gives each partition with a retention, and the time before which no message is kept. */
  constructor(queue: CommitQueue, cuts: () => Iterable<[PartitionLog, number]>) {
    this.#queue = queue
    this.#cuts = cuts
    this.sweep()
    this.#timer = setInterval(() => this.sweep(), SWEEP_MS).unref()
  }

  sweep(): void {
    const partitions: DurablePartition[] = []
    for (const [log, time] of this.#cuts()) {
      log.expire(time)
      if (log instanceof DurablePartition) partitions.push(log)
    }
    // A failed commit breaks the bus, which reports that to its users itself.
    this.#sweeping ??= this.#delete(partitions)
      .catch(() => {})
      .finally(() => {
        this.#sweeping = undefined
      })
  }

  async end(): Promise<void> {
    this.#ended = true
    clearInterval(this.#timer)
    await this.#sweeping
  }

  async #delete(partitions: readonly DurablePartition[]): Promise<void> {
    for (const partition of partitions) {
      while (partition.expired > 0 && !this.#ended) {
        await this.#queue.add({
          put: () => partition.putDeletions(DELETIONS_A_COMMIT),
          durable: () => {},
          events: 0,
          bytes: 0,
        })
      }
    }
  }
}
