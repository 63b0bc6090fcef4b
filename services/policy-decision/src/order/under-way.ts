import { ServiceError } from '@bailiwick/errors'

/**
 * Limits the calls under way to `most` for each key. A caller above its limit is refused at once, so that it waits on its own side and
 * not ahead of others (V18). Unlike a rate limit, this lets a caller that is alone use the whole machine.
 */
export class UnderWay {
  readonly #most: number
  readonly #counts = new Map<string, number>()

  constructor(most: number) {
    this.#most = most
  }

  /** Throws `queue_full` if the key is at its limit, before there is anything to run. */
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
