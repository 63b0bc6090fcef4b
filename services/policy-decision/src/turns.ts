/** A place among the evaluations of one request. */
export interface Turn {
  /** Resolves once every other has come too, or has left: in the order in which places were taken. */
  come(): Promise<void>
  /** Whether others are waited for. */
  readonly waits: boolean
  /** Whether its request has others. */
  readonly isOneOfMany: boolean
  /** Is not waited for any longer; again is no matter. */
  leave(): void
}

/**
 * All are verified at once, in whatever time each takes; then they enter their trees' queues together: what was asked first is
 * decided on first, and they share a durable write.
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
