import { withDeadline } from './deadline.ts'

/** How long a stop waits for a part that has not opened yet, ms. */
const openingMs = 2000

/**
 * Owns a part at once although it takes time to open, so that nothing else waits for it. For example, a broker lets a new reader into a
 * group only after it has given up the dead one. An error that keeps the part from opening goes to `onFatal`. Disposing waits for the part
 * to open, unless the broker is unavailable, then ends it.
 */
export function inBackground(opening: Promise<AsyncDisposable>, onFatal: (error: unknown) => void): AsyncDisposable {
  let isGivenUp = false
  const opened = opening.catch((error: unknown) => {
    // At a stop, the end of the bus ends a part that is still opening. That is not an error.
    if (!isGivenUp) onFatal(error)
    return undefined
  })
  return {
    async [Symbol.asyncDispose]() {
      const open = await withDeadline(opened, openingMs).catch(() => 'late' as const)
      if (open !== 'late') return open?.[Symbol.asyncDispose]()
      isGivenUp = true
      opened.then((it) => it?.[Symbol.asyncDispose]()).catch(() => undefined)
    },
  }
}
