/** A signal between a loop and what feeds it. What is signalled while nobody waits is not lost. */
export class Wake {
  #next = Promise.withResolvers<void>()

  signal(): void {
    this.#next.resolve()
  }

  /** Resolves once there was a signal since the last `wait` ended; it may be one that was acted on already. */
  async wait(): Promise<void> {
    await this.#next.promise
    this.#next = Promise.withResolvers()
  }
}
