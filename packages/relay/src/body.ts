/** A body of an answer. Not a generator: giving up a generator that was never read, or that is waiting, would not reach its source. */
export function bodyOf(
  next: () => Promise<IteratorResult<Uint8Array>>,
  giveUp: () => unknown,
): AsyncIterableIterator<Uint8Array> {
  const body: AsyncIterableIterator<Uint8Array> = {
    next,
    async return() {
      await giveUp()
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]: () => body,
  }
  return body
}
