import { ServiceError } from '@bailiwick/errors'

/** One caller's durable write. */
export interface Write {
  /** Work that must be durable before the transaction, if any. */
  prepare?(): Promise<unknown>
  /** Called inside the transaction. */
  put(): void
  /** Called once it is durable, in the order in which writes were added, before any later write is committed. */
  durable(): void
  events: number
  bytes: number
}

export interface QueueLimits {
  /** The most that may wait, not counting the commit in flight. */
  events: number
  bytes: number
  /** The most bytes of one transaction. A single larger write gets a transaction of its own. */
  commitBytes: number
  /** How long one commit may take before it counts as late, ms: the disk thrashes, but will most likely answer. */
  lateMs: number
  /** How long one commit may take before it is given up, ms. */
  commitMs: number
}

/** Long, because a machine that swaps may take minutes although nothing has failed. */
export const COMMIT_MS = 300_000

const defaultLimits: QueueLimits = {
  events: 32_768,
  bytes: 64 << 20,
  commitBytes: 8 << 20,
  lateMs: 5000,
  commitMs: COMMIT_MS,
}

interface Waiting extends Write {
  resolve(): void
  reject(error: ServiceError): void
}

/**
 * Group commit: one transaction at a time, carrying everything that gathered while the previous one was in flight. So a lone
 * writer waits for one commit, many writers share one, and no timer is involved.
 *
 * While a commit has not answered, its outcome is unknown. Then no write behind it is answered, and only the commit's own late answer
 * decides what is durable. A commit that failed or was given up ends the queue and is never retried: after a failed fsync the kernel may
 * have dropped the very pages that a second fsync would report as durable.
 */
export class CommitQueue {
  readonly #commit: (puts: () => void) => Promise<boolean>
  readonly #limits: QueueLimits
  readonly #broken = Promise.withResolvers<never>()
  #error: ServiceError | undefined
  #waiting: Waiting[] = []
  #waitingEvents = 0
  #waitingBytes = 0
  #running: Promise<void> | undefined
  #late = false

  /** `commit` calls `puts` and resolves with true once their entries are durable. It commits all of them or none. */
  constructor(commit: (puts: () => void) => Promise<boolean>, limits: Partial<QueueLimits> = {}) {
    this.#commit = commit
    this.#limits = { ...defaultLimits, ...limits }
    this.#broken.promise.catch(() => {})
  }

  /** Rejects with `outcome_unknown` when a commit failed. Never resolves. */
  get broken(): Promise<never> {
    return this.#broken.promise
  }

  /** Whether the commit in flight should have answered by now. */
  get late(): boolean {
    return this.#late
  }

  /** Throws `queue_full`, or `outcome_unknown` once a commit failed. Call this before assigning offsets. */
  admit(events: number, bytes: number): void {
    if (this.#error !== undefined) throw this.#error
    if (this.#waitingEvents === 0) return // however large it is, waiting would never make more room
    if (this.#waitingEvents + events > this.#limits.events || this.#waitingBytes + bytes > this.#limits.bytes) {
      throw new ServiceError('queue_full')
    }
  }

  /** Resolves once it is durable. Rejects with `outcome_unknown` if it may not be. */
  add(write: Write): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ ...write, resolve, reject })
    this.#waitingEvents += write.events
    this.#waitingBytes += write.bytes
    this.#running ??= this.#run()
    return promise
  }

  /** Resolves when no write waits or is in flight. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0 && this.#error === undefined) {
      // By then, callers woken by the last commit have added their next write, and all writes of this turn have arrived.
      await new Promise<void>((resolve) => setImmediate(resolve))
      const batch = this.#take()
      try {
        await this.#commitInTime(batch)
      } catch (cause) {
        this.#break(
          new ServiceError('outcome_unknown', 'the embedded bus stopped after a failed write', { cause }),
          batch,
        )
        break
      }
      for (const write of batch) write.durable()
      for (const write of batch) write.resolve()
    }
    this.#running = undefined
  }

  #take(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const write of this.#waiting) {
      if (count > 0 && bytes + write.bytes > this.#limits.commitBytes) break
      bytes += write.bytes
      count += 1
      this.#waitingEvents -= write.events
    }
    this.#waitingBytes -= bytes
    return this.#waiting.splice(0, count)
  }

  async #commitInTime(batch: readonly Waiting[]): Promise<void> {
    const givenUp = Promise.withResolvers<never>()
    const timers = [
      setTimeout(() => {
        this.#late = true
      }, this.#limits.lateMs),
      setTimeout(() => givenUp.reject(new Error('the commit did not answer')), this.#limits.commitMs),
    ]
    try {
      const commit = async () => {
        const prepared = batch.flatMap(({ prepare }) => (prepare ? [prepare()] : []))
        if (prepared.length > 0) await Promise.all(prepared)
        return this.#commit(() => {
          for (const write of batch) write.put()
        })
      }
      const committed = commit()
      committed.catch(() => {}) // it may fail after it was given up
      if (!(await Promise.race([committed, givenUp.promise]))) throw new Error('the commit was refused')
    } finally {
      for (const timer of timers) clearTimeout(timer)
      this.#late = false
    }
  }

  #break(error: ServiceError, batch: readonly Waiting[]): void {
    this.#error = error
    for (const write of [...batch, ...this.#waiting]) write.reject(error)
    this.#waiting = []
    this.#broken.reject(error)
  }
}
