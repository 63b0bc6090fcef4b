/** A signal between a loop and its producers. A signal while the loop is not waiting is not lost. */
export class Wake {
  #next = Promise.withResolvers<void>()

  signal(): void {
    this.#next.resolve()
  }

  /** Resolves once there was a signal since the last `wait` ended. The loop may already have acted on that signal. */
  async wait(): Promise<void> {
    await this.#next.promise
    this.#next = Promise.withResolvers()
  }
}
