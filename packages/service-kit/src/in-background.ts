/**
 * Owns at once what takes its time to open, so that nothing else waits for it: a broker lets a new reader into a group only
 * once it has given up the one that died. What keeps it from opening goes to `onFatal`. Disposing waits for it, then ends it.
 */
export function inBackground(opening: Promise<AsyncDisposable>, onFatal: (error: unknown) => void): AsyncDisposable {
  const opened = opening.catch((error: unknown) => {
    onFatal(error)
    return undefined
  })
  return {
    async [Symbol.asyncDispose]() {
      await (await opened)?.[Symbol.asyncDispose]()
    },
  }
}
