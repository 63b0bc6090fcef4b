import { encodeBase64url } from '@bailiwick/credentials'
import type { Producer } from '@bailiwick/instance'
import { withDeadline } from '@bailiwick/kit'
import type { Published } from './log.ts'

/** How long a stop waits for the announcement under way. */
const lastWordMs = 1000

/**
 * Publishes each new checkpoint on `checkpoints.v1`. While one is on its way only the newest of the later ones waits, so a slow bus never
 * slows the log. If a crash loses a checkpoint, the next one makes up for it.
 */
export class CheckpointAnnouncer implements AsyncDisposable {
  readonly #producer: Pick<Producer, 'publish'>
  readonly #origin: string
  readonly #onError: (error: unknown) => void
  #next: Published | undefined
  #running: Promise<void> | undefined

  constructor(producer: Pick<Producer, 'publish'>, origin: string, onError: (error: unknown) => void) {
    this.#producer = producer
    this.#origin = origin
    this.#onError = onError
  }

  announce(checkpoint: Published): void {
    this.#next = checkpoint
    this.#running ??= this.#run()
  }

  /** Bounded, since the lock must not wait for a bus that does not answer: the next writer announces a newer checkpoint. */
  async [Symbol.asyncDispose](): Promise<void> {
    await withDeadline(this.#running ?? Promise.resolve(), lastWordMs).catch(() => undefined)
  }

  async #run(): Promise<void> {
    for (let checkpoint = this.#next; checkpoint !== undefined; checkpoint = this.#next) {
      this.#next = undefined
      const { size, root, note } = checkpoint
      const data = { origin: this.#origin, size, root: encodeBase64url(root), checkpoint: note }
      await this.#producer
        .publish('checkpoints.v1', [{ type: 'checkpoint.published', subject: this.#origin, data }])
        .catch(this.#onError)
    }
    this.#running = undefined
  }
}
