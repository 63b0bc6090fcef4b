import { ServiceError } from '@bailiwick/errors'

/**
 * What is under way of each key, and never more than `most` of one: whoever asks for more is told so at once, and waits for itself
 * and not before others (V18). Unlike a rate it takes all that a machine can do from whoever asks alone.
 */
export class UnderWay {
  readonly #most: number
  readonly #counts = new Map<string, number>()

  constructor(most: number) {
    this.#most = most
  }

  /** Throws `queue_full`, before there is anything to run. */
  requireRoom(key: string): void {
    if (this.#of(key) >= this.#most) throw new ServiceError('queue_full', 'too many calls of this caller are under way')
  }

  /** Settles as `fn` does; rejects with `queue_full`, and `fn` never runs. */
  async run<T>(key: string, fn: () => Promise<T>): Promise<T> {
    this.requireRoom(key)
    this.#counts.set(key, this.#of(key) + 1)
    try {
      return await fn()
    } finally {
      const left = this.#of(key) - 1
      if (left > 0) this.#counts.set(key, left)
      else this.#counts.delete(key)
    }
  }

  #of(key: string): number {
    return this.#counts.get(key) ?? 0
  }
}
