import { withResolvers } from '@bailiwick/kit'

/** A pack on its way to the server. Not a generator: one that is given up before it is read would not say so. */
export class Pack implements AsyncIterableIterator<Buffer> {
  readonly #source: AsyncIterator<Buffer>
  readonly #ended = withResolvers<void>()
  /** Why it could not be read to its end. */
  fault: unknown

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** Resolves once no more of it is read. Never rejects. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  async next(): Promise<IteratorResult<Buffer>> {
    try {
      const read = await this.#source.next()
      if (read.done) this.#ended.resolve()
      return read
    } catch (error) {
      this.fault = error
      this.#ended.resolve()
      throw error
    }
  }

  async return(): Promise<IteratorResult<Buffer>> {
    this.#ended.resolve()
    await this.#source.return?.()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
