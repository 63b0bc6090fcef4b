/** A place among the evaluations of one request. */
export interface Turn {
  /** Resolves once every other place has come too, or has left. Places resolve in the order in which they were taken. */
  come(): Promise<void>
  /** Whether this place must still wait for others. */
  readonly waits: boolean
  /** Whether the request has other evaluations. */
  readonly isOneOfMany: boolean
  /** The others no longer wait for this place. Idempotent. */
  leave(): void
}

/**
 * All evaluations of a request are verified at once, however long each takes. Then they enter their trees' queues together: the first
 * one asked is decided first, and they share a durable write.
 */
export class Turns {
  #away = 0
  #taken = 0
  #come: (() => void)[] = []

  next(): Turn {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#away++
    this.#taken++
    const isOneOfMany = () => this.#taken > 1
    this.#come.push(resolve)
    let gone = false
    const isWaiting = () => this.#away > (gone ? 0 : 1)
    const leave = () => {
      if (gone) return
      gone = true
      if (--this.#away > 0) return
      for (const goOn of this.#come.splice(0)) goOn()
    }
    return {
      leave,
      get waits() {
        return isWaiting()
      },
      get isOneOfMany() {
        return isOneOfMany()
      },
      come() {
        if (gone) return Promise.resolve()
        leave()
        return promise
      },
    }
  }
}
