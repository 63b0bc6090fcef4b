import { ServiceError } from '@bailiwick/errors'

/** Counts the calls of one entry, each until its answer is over. */
export class Calls {
  #count = 0
  #isRetired = false
  readonly #idle = Promise.withResolvers<void>()

  /** Settles as `call` does. Rejects with `route_unknown` after `retire`: the entry may have changed while the request was read. */
  async run<T extends object>(call: () => Promise<T>): Promise<T> {
    if (this.#isRetired) throw new ServiceError('route_unknown')
    this.#count++
    let over: unknown
    try {
      const relayed = await call()
      if ('over' in relayed) over = relayed.over
      return relayed
    } finally {
      const leave = () => this.#leave()
      void Promise.resolve(over).then(leave, leave)
    }
  }

  /** Resolves when no answer flows any more. */
  retire(): Promise<void> {
    this.#isRetired = true
    if (this.#count === 0) this.#idle.resolve()
    return this.#idle.promise
  }

  #leave(): void {
    this.#count--
    if (this.#isRetired && this.#count === 0) this.#idle.resolve()
  }
}
