import { encodeBase64url } from '@bailiwick/credentials'
import type { Producer } from '@bailiwick/projection'
import type { Published } from './log.ts'

/**
 * Publishes each new checkpoint on `checkpoints.v1`; while one is on its way only the newest of those that follow waits, so
 * a slow bus never slows the log. What a crash swallows is made up for by the next one.
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running
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
