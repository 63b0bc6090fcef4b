import { withDeadline } from './deadline.ts'

/** How long a stop waits for a part that has not opened yet, ms. */
const openingMs = 2000

/**
 * Owns at once what takes its time to open, so that nothing else waits for it: a broker lets a new reader into a group only
 * once it has given up the one that died. An error that keeps it from opening goes to `onFatal`. Disposing waits for it,
 * though not for a broker that is away, then ends it.
 */
export function inBackground(opening: Promise<AsyncDisposable>, onFatal: (error: unknown) => void): AsyncDisposable {
  let isGivenUp = false
  const opened = opening.catch((error: unknown) => {
    // At a stop, the end of the bus ends a part that is still opening, in order.
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
